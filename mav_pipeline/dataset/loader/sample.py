"""One training sample from the members of a stored one; decodes just the frames of its crop."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.dataset.codec import alpha_frames, rgb_frames
from mav_pipeline.dataset.loader.backgrounds import Backgrounds, composite, resize
from mav_pipeline.dataset.loader.order import crop_start, crop_window
from mav_pipeline.dataset.loader.select import Per
from mav_pipeline.masks import decode_rle, parse_rle
from mav_pipeline.schema import SCORES, Alpha, Frames, Masks


class MatteSample(TypedDict):
    """A run of T frames of H x W pixels, as a plain dict that torch's own collate can stack.

    With ``per="clip"`` everything that is a masklet's has M masklets before its other axes, and
    ``masklet`` is a list of M names.

    Attributes:
        key: the clip's id.
        masklet: its name, ``manual_003``.
        frames: (T, H, W, 3) uint8 RGB; absent where the set was built with ``output.rgb=none``.
        alpha: (T, H, W) uint8, 255 = opaque; 0 on frames where the masklet is not visible.
        mask: (T, H, W) bool, the binary masks that the alpha was made from.
        visible: (T,) bool, whether the masklet is seen in the source frame.
        frame_indices: (T,) int64, frame numbers of the source video.
        scores: each of ``schema.SCORES`` as a float64 array of shape (), NaN where it has none.
        composite: (T, H, W, 3) uint8, the frames over a new background by alpha; there where
            ``backgrounds`` are given. Its foreground is the observed colour, not an estimated one:
            where alpha is partial it still holds some of the old background.
    """

    key: str
    masklet: str | list[str]
    frames: NotRequired[Frames]
    alpha: Alpha
    mask: Masks
    visible: NDArray[np.bool_]
    frame_indices: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]]
    composite: NotRequired[Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMaker:
    """Makes samples; see ``MatteDataset`` for the settings.

    Attributes:
        rgb: whether the stored samples hold RGB.
    """

    per: Per
    frames: int | None
    size: tuple[int, int] | None
    at_random: bool
    rgb: bool
    backgrounds: Backgrounds | None

    def make(
        self,
        members: Mapping[str, bytes],
        masklets: Sequence[str],
        random: np.random.Generator,
    ) -> MatteSample:
        """The sample of ``masklets`` (one, unless ``per="clip"``), cropped by ``random``.

        Raises:
            ValueError: the members are not what the json says, or do not decode.
        """
        document, entries = _read(members, masklets)
        indices, shape = document["frame_indices"], (document["height"], document["width"])
        size = self.size or shape
        chance = random if self.at_random else None
        count = self.frames or len(indices)
        start = crop_start(_seen(entries), count, chance)
        stop = min(start + count, len(indices))
        window = crop_window(shape, size, chance)
        #: The last frame stands in for those that a short clip lacks.
        take = np.minimum(np.arange(count), stop - start - 1)

        def stack(images: Any) -> Any:
            """(T, H, W, ...) of the crop's images at source size."""
            parts = []
            for image in images:
                if image.shape[:2] != shape:
                    raise ValueError(f"a frame is {image.shape[:2]}, the json says {shape}")
                parts.append(resize(image[window], size))
            if len(parts) != stop - start:
                raise ValueError(f"{len(parts)} frames of {stop - start} are there")
            return np.stack(parts)[take] if len(parts) < count else np.stack(parts)

        def each(stacked: Callable[[Mapping[str, Any]], Any]) -> Any:
            """A masklet's array, or those of all with an axis for them."""
            return np.stack([*map(stacked, entries)]) if self.per == "clip" else stacked(entries[0])

        sample = MatteSample(
            key=document["key"],
            masklet=[*masklets] if self.per == "clip" else masklets[0],
            alpha=each(lambda e: stack(alpha_frames(members, e["name"], indices, start, stop))),
            mask=each(lambda e: stack(_masks(e["mask"][start:stop], shape)) > 127),
            visible=each(lambda e: np.array(e["visible"][start:stop], np.bool_)[take]),
            frame_indices=np.array(indices[start:stop], np.int64)[take],
            scores={name: each(functools.partial(_score, name)) for name in SCORES},
        )
        if self.rgb:
            frames = sample["frames"] = stack(rgb_frames(members, indices[start:stop]))
            if self.backgrounds is not None:
                ground = self.backgrounds.draw(size, random)
                sample["composite"] = composite(frames, sample["alpha"], ground)
        return sample


def _read(
    members: Mapping[str, bytes], masklets: Sequence[str]
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The json of a sample and the entries of ``masklets`` in it."""
    try:
        document = json.loads(members["json"])
        named = {entry["name"]: entry for entry in document["masklets"]}
        entries = [named[name] for name in masklets]
        count = len(document["frame_indices"])
        lengths = {len(entry[key]) for entry in entries for key in ("visible", "mask")}
        if lengths != {count}:
            raise ValueError(f"masks of {sorted(lengths)} frames, of {count}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the json member is not ours: {error!r}") from error
    return document, entries


def _masks(rles: Sequence[Any], shape: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """(H, W) of 0 and 255 each."""
    for data in rles:
        rle = parse_rle(data, *shape, role="mask")
        mask = np.zeros(shape, np.bool_) if rle is None else decode_rle(rle)
        yield mask.view(np.uint8) * np.uint8(255)


def _seen(entries: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    """(T,) whether any of the masklets is."""
    frames = zip(*(entry["visible"] for entry in entries), strict=True)
    return np.array([any(shown) for shown in frames], np.bool_)


def _score(name: str, entry: Mapping[str, Any]) -> NDArray[np.float64]:
    value = entry["scores"].get(name)
    return np.array(np.nan if value is None else value, np.float64)
