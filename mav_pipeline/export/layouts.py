"""The layouts: which files a clip becomes; one entry each in ``EXPORT_LAYOUTS``.

Knows nothing of where the files go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mav_pipeline.export.clip import StoredClip
from mav_pipeline.export.preview import preview
from mav_pipeline.media.images import encode_png
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.schema.registry import Registry

File = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportLayout:
    """How a set is laid out for others.

    Attributes:
        name: value of ``export.format``.
        about: one line for the docs.
        files: (path, content) of one clip, in the order in which they are written.
        whole: files that speak of the whole, made at the end from the manifest rows of all
            masklets that are there.
    """

    name: str
    about: str
    files: Callable[[StoredClip], Iterator[File]]
    whole: Callable[[Iterable[Mapping[str, Any]]], Mapping[str, bytes]] = lambda rows: {}


#: SA-V counts manual and auto objects from 0 each; a folder is named by a number alone.
_AUTO = 1000


def _videomama(clip: StoredClip) -> Iterator[File]:
    """A sequence a masklet, its frames counted from 0 as VideoMaMa's own loaders count them."""
    jpegs = [data for _, data in clip.jpegs(every=False)]
    for masklet in clip.picked:
        sequence = f"{clip.key}_{masklet}"
        for place, jpeg in enumerate(jpegs):
            yield f"image/{sequence}/{place:04d}.jpg", jpeg
        for place, mask in enumerate(clip.mask_images(masklet)):
            yield f"mask/{sequence}/{place:04d}.png", encode_png(mask)
        for place, alpha in enumerate(clip.alpha(masklet)):
            yield f"alpha/{sequence}/{place:04d}.png", encode_png(alpha)


def _sav_val(clip: StoredClip) -> Iterator[File]:
    """Every stored picture, and the masks that the mattes were made from.

    Masks, not mattes: whoever reads this layout takes all that is above 0 for the object. Frames
    without the object have a PNG too, as an annotated frame is one that has an annotation.
    """
    for number, jpeg in clip.jpegs(every=True):
        yield f"JPEGImages/{clip.key}/{number:05d}.jpg", jpeg
    for masklet in clip.picked:
        item = clip.object_of(masklet) + (_AUTO if clip.kind_of(masklet) == "auto" else 0)
        for number, mask in zip(clip.indices, clip.mask_images(masklet), strict=True):
            yield f"Annotations/{clip.key}/{item:03d}/{number:05d}.png", encode_png(mask)


def _preview(clip: StoredClip) -> Iterator[File]:
    for masklet in clip.picked:
        video = preview(clip.frames(), clip.alpha(masklet), *clip.document.shape, clip.rate)
        yield f"preview/{clip.key}/{masklet}.mp4", video


def metadata(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The table that VideoMaMa's training code finds its sequences by, of manifest rows."""
    sequences = [(f"{row['key']}_{row['masklet']}", row["frames"]) for row in rows]
    columns: dict[str, list[Any]] = {
        "composite_path": [f"image/{name}" for name, _ in sequences],
        "mask_path": [f"mask/{name}" for name, _ in sequences],
        "alpha_path": [f"alpha/{name}" for name, _ in sequences],
        "num_frames": [frames for _, frames in sequences],
    }
    return encode_table(pa.table(columns))


EXPORT_LAYOUTS: Registry[ExportLayout] = Registry(
    "export.format",
    (
        ExportLayout(
            name="videomama",
            about="`image/<id>_<masklet>/0000.jpg`, `mask/.../0000.png`, `alpha/.../0000.png`: "
            "annotated frames, counted from 0; `metadata.parquet` lists the sequences",
            files=_videomama,
            whole=lambda rows: {"metadata.parquet": metadata(rows)},
        ),
        ExportLayout(
            name="sav_val",
            about="`JPEGImages/<id>/00000.jpg`: every stored frame; "
            "`Annotations/<id>/<object>/00000.png`: the masks that the mattes were made from. "
            "`source=sav_eval` reads it. Auto masklets are numbered from 1000",
            files=_sav_val,
        ),
        ExportLayout(
            name="preview",
            about="`preview/<id>/<masklet>.mp4`: the object on green and on a checkerboard, at the "
            "annotated frames' rate",
            files=_preview,
        ),
    ),
)
