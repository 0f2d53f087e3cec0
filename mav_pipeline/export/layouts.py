"""The layouts: which files a clip becomes; one entry each in ``EXPORT_LAYOUTS``.

Knows nothing of where the files go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mav_pipeline.config import ExportConfig
from mav_pipeline.export import editors
from mav_pipeline.export.clip import File, StoredClip
from mav_pipeline.export.davis import davis, image_sets
from mav_pipeline.export.preview import preview
from mav_pipeline.export.videomama import facts, metadata, videomama
from mav_pipeline.media.images import encode_png
from mav_pipeline.schema.about import about_name
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import Registry

Files = Callable[[StoredClip], Iterator[File]]
Receipts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportLayout:
    """How a set is laid out for others.

    Attributes:
        name: value of ``export.format``.
        about: one line for the docs.
        readers: what reads it, for the docs.
        files: (path, content) of one clip, in the order in which they are written; or several such
            functions by what ``export.encoding`` calls them, the default first.
        options: keys of ``export`` that change its files.
        pictures: whether the set must hold any.
        facts: what the clip's receipt says of it, for ``whole``.
        whole: files that speak of all clips that are there, by path; of their receipts.
    """

    name: str
    about: str
    readers: str = ""
    files: Files | Mapping[str, Files]
    options: tuple[str, ...] = ()
    pictures: bool = True
    facts: Callable[[StoredClip], Mapping[str, Any]] = lambda clip: {}
    whole: Callable[[Receipts, ExportConfig], Mapping[str, bytes]] | None = None

    @property
    def encodings(self) -> Mapping[str, Files]:
        """What ``export.encoding`` may be, the default first; empty where there is no choice."""
        return self.files if isinstance(self.files, Mapping) else {}

    def chosen(self, encoding: str | None) -> tuple[str | None, Files]:
        """The value of ``export.encoding``, resolved, and its function.

        Raises:
            ConfigError: the layout has no such encoding.
        """
        if not isinstance(self.files, Mapping):
            if encoding is None:
                return None, self.files
            raise ConfigError(
                f"export.format={self.name} has one encoding alone, not export.encoding="
                f"{encoding}; leave it out"
            )
        name = next(iter(self.files)) if encoding is None else encoding
        if name not in self.files:
            raise ConfigError(
                f"export.format={self.name} has no export.encoding={name}; it has "
                f"{', '.join(self.files)}"
            )
        return name, self.files[name]


#: SA-V counts manual and auto objects from 0 each; a folder is named by a number alone.
_AUTO = 1000


def _sav_val(clip: StoredClip) -> Iterator[File]:
    """Every stored picture, and the masks that the mattes were made from.

    Masks, not mattes: whoever reads this layout takes all that is above 0 for the object. Frames
    without the object have a PNG too, as an annotated frame is one that has an annotation.
    """
    for number, jpeg in clip.jpegs():
        yield f"JPEGImages/{clip.key}/{number:05d}.jpg", jpeg
    objects = {}
    for masklet in clip.picked:
        item = clip.object_of(masklet) + (_AUTO if clip.kind_of(masklet) == "auto" else 0)
        objects[f"{item:03d}"] = masklet
        known = {*clip.places(masklet)}
        for place, mask in enumerate(clip.mask_images(masklet)):
            if place in known:
                path = f"Annotations/{clip.key}/{item:03d}/{clip.indices[place]:05d}.png"
                yield path, encode_png(mask)
    yield about_name(clip.key), clip.about().encode(objects=objects)


def _preview(clip: StoredClip) -> Iterator[File]:
    for masklet in clip.picked:
        video = preview(clip.frames(), clip.alpha(masklet), *clip.document.shape, clip.rate)
        yield f"preview/{clip.key}/{masklet}.mp4", video


EXPORT_LAYOUTS: Registry[ExportLayout] = Registry(
    "export.format",
    (
        ExportLayout(
            name="videomama",
            about="`image/<id>_<masklet>/0000.jpg`, `mask/.../0000.png`, `alpha/.../0000.png`: "
            "annotated frames, counted from 0; `metadata.parquet` lists the sequences",
            readers="VideoMaMa's training (`dataloader/synthetic.py`), `source=footage`",
            files=videomama,
            options=("trim",),
            facts=facts,
            whole=lambda receipts, config: {"metadata.parquet": metadata(receipts)},
        ),
        ExportLayout(
            name="sav_val",
            about="`JPEGImages/<id>/00000.jpg`: every stored frame; "
            "`Annotations/<id>/<object>/00000.png`: the masks that the mattes were made from, of "
            "each annotated frame. Auto masklets are numbered from 1000",
            readers="SA-V's evaluator, SAM 2's `vos_inference.py` with one folder an object, "
            "`source=sav_eval`. Not a VOS trainer: VideoMaMa's `dataloader/vos.py` finds no mask "
            "and reads every one as black, SAM 2's `PNGRawDataset` takes frames without a PNG "
            "for empty ones",
            files=_sav_val,
        ),
        ExportLayout(
            name="davis",
            about="`JPEGImages/<id>/00000.jpg`, `Annotations/<id>/00000.png`: annotated frames "
            "under their own numbers, masks of all masklets in one palette PNG, labelled from 1; "
            "`ImageSets/2017/train.txt` and `val.txt` (`export.val_share`) name the clips",
            readers="VideoMaMa's `dataloader/vos.py`, SAM 2's `PNGRawDataset` as it is by default, "
            "`source=sav_eval`",
            files=davis,
            options=("trim",),
            whole=lambda receipts, config: image_sets(
                [receipt["key"] for receipt in receipts], config.val_share
            ),
        ),
        ExportLayout(
            name="rgba",
            about="the object's own colours with straight alpha. `prores`: "
            "`rgba/<id>/<masklet>.mov`, ProRes 4444; `png`, `png16`: "
            "`rgba/<id>/<masklet>/00000.png`",
            readers="editors and compositors",
            files={
                "prores": editors.rgba_prores,
                "png": editors.rgba_png,
                "png16": editors.rgba_png16,
            },
        ),
        ExportLayout(
            name="alpha",
            about="alpha alone, white where it is opaque. `ffv1`: `alpha/<id>/<masklet>.mkv`, "
            "8-bit gray, lossless; `prores`: `alpha/<id>/<masklet>.mov`, ProRes 422 HQ; `png`, "
            "`png16`: `alpha/<id>/<masklet>/00000.png`, gray",
            readers="editors and compositors (`prores`, `png`, `png16`); whatever rests on ffmpeg; "
            "`png` under `alpha/` is `evaluate.layout=alpha_gt`",
            files={
                "ffv1": editors.alpha_ffv1,
                "prores": editors.alpha_prores,
                "png": editors.alpha_png,
                "png16": editors.alpha_png16,
            },
            pictures=False,
        ),
        ExportLayout(
            name="preview",
            about="`preview/<id>/<masklet>.mp4`: the object on green and on a checkerboard, at the "
            "annotated frames' rate",
            readers="people",
            files=_preview,
        ),
    ),
)
