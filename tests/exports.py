"""What tests of exports share: sets made, exported, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.shard_tar import read_samples
from mav_pipeline.export import Exported, Target, export
from mav_pipeline.export.clip import File, StoredClip
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.schema import FORMAT, Alpha, Content, Frame, Members, read_content
from mav_pipeline.schema.document import MaskletDocument, Provenance, SampleDocument
from mav_pipeline.storage import LocalStorage, Spool
from tests.fakes import FakeBackend, build_set, config, png, rle, write


def exported(root: Path, target: Path, **export_keys: Any) -> Exported:
    """Exports the set in ``root`` to ``target``."""
    overrides = {f"export.{key}": value for key, value in export_keys.items()}
    run = config({**overrides, "export.root": str(target)})
    return export(BuiltSet.open(LocalStorage(root)), run.export, Target.open(run.export.root, None))


def built(source: Path, root: Path, backend: FakeBackend | None = None, **changes: Any) -> Path:
    """A finished set."""
    finalize(
        build_set(
            config({"source.root": str(source), "output.root": str(root), **changes}), backend
        )
    )
    return root


def stored(root: Path) -> dict[str, Members]:
    """The samples of a set."""
    found: dict[str, Members] = {}
    for receipt in BuiltSet.open(LocalStorage(root)).receipts().values():
        with (root / layout.data(receipt.tar.name)).open("rb") as stream:
            found |= dict(read_samples(stream))
    return found


def rows(root: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The rows of a set by clip and masklet."""
    found = BuiltSet.open(LocalStorage(root)).rows().to_pylist()
    return {(row["key"], row["masklet"]): row for row in found}


def names(root: Path) -> list[str]:
    """The files below a folder."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


@dataclass(frozen=True, slots=True)
class SoftClip:
    """A soft reddish disc on a ground of green and blue stripes, on frames 0, 4, ...; then nothing.

    Attributes:
        clip: as a set stores it.
        colours: (H, W, 3), the disc's own.
        alphas: (T, H, W); all values from 0 to 255 stand in each but the last, which is empty.
    """

    clip: StoredClip
    colours: Frame
    alphas: Alpha


def soft_clip(height: int, width: int, frames: int = 3) -> SoftClip:
    """See ``SoftClip``; the area must be at least 256 pixels."""
    y, x = np.mgrid[:height, :width]
    share = np.clip((height / 3 - np.hypot(y - height / 2, x - width / 2)) / 12 + 0.5, 0, 1)
    first = np.rint(share * 255).astype(np.uint8)
    first.flat[:256] = np.arange(256)
    alphas = np.stack([np.roll(first, index, 1) for index in range(frames)])
    alphas[-1] = 0
    colours = np.stack([180 + 60 * x // width, 40 + 40 * y // height, np.full_like(x, 30)], -1)
    ground = np.stack([np.full_like(x, 20), 120 + 80 * (x // 8 % 2), 90 + 90 * y // height], -1)
    parts = alphas[..., None] / 255
    pictures = np.rint(parts * colours + (1 - parts) * ground).astype(np.uint8)
    indices = tuple(range(0, 4 * frames, 4))
    spool = Spool()
    encoder = AlphaEncoder(height, width, Fraction(6), spool.file)
    for alpha in alphas:
        encoder.write(alpha)
    encoder.close()
    masklet = MaskletDocument(
        name="manual_000",
        id=0,
        kind="manual",
        status="accepted",
        mask=tuple(rle(alpha > 127) if alpha.any() else None for alpha in alphas),
        scores={},
        visible=tuple(bool(alpha.any()) for alpha in alphas),
        annotated=(True,) * len(alphas),
    )
    document = SampleDocument(
        format=FORMAT,
        video_id="soft",
        width=width,
        height=height,
        fps=24.0,
        frame_indices=indices,
        environment=None,
        masklets=(masklet,),
        provenance=Provenance(fingerprint="", backend="", seed=0),
    )
    members: dict[str, Content] = {
        "json": document.encode(),
        "manual_000.alpha.mkv": spool.blob(),
        **{f"rgb.{n:05d}.png": png(p) for n, p in zip(indices, pictures, strict=True)},
    }
    clip = StoredClip.open(members, ["manual_000"])
    return SoftClip(clip, colours.astype(np.uint8), alphas)


def write_files(files: Iterable[File], folder: Path) -> list[str]:
    """Puts the files of a layout where a target would; returns their names."""
    return [
        write(folder / name, read_content(data)).relative_to(folder).as_posix()
        for name, data in files
    ]
