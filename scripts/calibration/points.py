"""What was seen at single points of mattes, and how wrong alpha is there; kept beside the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.expected import Network
from mav_pipeline.quality.region import crop
from mav_pipeline.quality.sampling import Look
from mav_pipeline.schema import Alpha

_DIGITS = 6  # as the scorer rounds


@dataclass(frozen=True, slots=True)
class Points:
    """All looks at one matte.

    Attributes:
        traits: (n, k), halves of singles: a thousandth is more than is known of them.
        weight: (n,) share of alpha that a point stands for.
        wrong: (n,) |alpha - truth| in levels.
    """

    traits: NDArray[np.float16]
    weight: NDArray[np.float32]
    wrong: NDArray[np.uint8]

    def expected(self, network: Network) -> float | None:
        """The score ``expected_error`` by a network; None where nothing was seen."""
        if not len(self.wrong):
            return None
        return round(float(self.weight @ network(self.traits.astype(np.float32))), _DIGITS)


def points_of(looks: Sequence[tuple[int, Look]], alpha: Alpha, truth: Alpha) -> Points:
    """(T, H, W) alpha and truth at the size of the frames that were looked at."""
    if not looks:
        return Points(np.zeros((0, 0), np.float16), np.zeros(0, np.float32), np.zeros(0, np.uint8))
    whole = sum(look.opaque for _, look in looks)
    wrong = [
        np.abs(crop(alpha[index], look.box).astype(np.int16) - crop(truth[index], look.box))
        .ravel()[look.points]
        .astype(np.uint8)
        for index, look in looks
    ]
    return Points(
        np.concatenate([look.traits for _, look in looks]).astype(np.float16),
        np.concatenate([look.stands_for for _, look in looks]) / np.float32(whole),
        np.concatenate(wrong),
    )


def save(file: Path, found: Sequence[Points]) -> None:
    """Whole or not at all."""
    seen = [one for one in found if len(one.wrong)]
    part = file.with_name(file.name + ".part")
    width = seen[0].traits.shape[1] if seen else 0
    with part.open("wb") as out:
        np.savez(
            out,
            counts=np.array([len(one.wrong) for one in found], np.int64),
            traits=np.concatenate([np.zeros((0, width), np.float16), *(p.traits for p in seen)]),
            weight=np.concatenate([np.zeros(0, np.float32), *(p.weight for p in seen)]),
            wrong=np.concatenate([np.zeros(0, np.uint8), *(p.wrong for p in seen)]),
        )
    part.rename(file)


def load(file: Path) -> Iterator[Points]:
    """Those of each row, in order."""
    with np.load(file) as found:
        kept: Mapping[str, NDArray[np.generic]] = {name: found[name] for name in found.files}
    ends = np.cumsum(kept["counts"])
    for start, stop in zip(np.concatenate([[0], ends]), ends, strict=False):
        at = slice(int(start), int(stop))
        yield Points(*(kept[name][at] for name in ("traits", "weight", "wrong")))  # type: ignore[arg-type]
