"""DAVIS: one palette PNG a frame for all objects, and lists of clips.

    JPEGImages/<id>/00000.jpg   Annotations/<id>/00000.png   ImageSets/2017/{train,val}.txt
    about/<id>.json             which label is which masklet, and what overlap took from it

Without a folder for the resolution, as the readers that this is for have none.

A pixel belongs to one object. Where masks overlap it is the one that is smaller, by its mean area
in the clip, so that the same one is in front throughout.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mav_pipeline.export.clip import File, StoredClip, spans
from mav_pipeline.schema import Mask
from mav_pipeline.schema.about import about_name

_MOST = 254  # 0 is the background, and 255 is for pixels of nobody
_LEVEL = 3  # of PNG's compression, as of masks

_Labels = NDArray[np.uint8]  # (H, W)


def davis(clip: StoredClip) -> Iterator[File]:
    """The files of a clip in time order.

    Raises:
        ValueError: too many objects, or no frame on which we know where all of them are.
    """
    if len(clip.picked) > _MOST:
        raise ValueError(f"{len(clip.picked)} masklets, and a palette has labels for {_MOST}")
    places = _places(clip)
    if not places:
        raise ValueError("no frame is annotated for all of its masklets")
    labels = {name: label for label, name in enumerate(clip.picked, 1)}
    behind = sorted(labels, key=lambda name: (-clip.area(name), labels[name]))
    covered = dict.fromkeys(labels, 0)
    jpegs = clip.jpegs([clip.indices[place] for place in places])
    masks = zip(*(clip.masks(name) for name in behind), strict=True)
    wanted = {*places}
    for place, found in enumerate(islice(masks, places[-1] + 1)):
        if place not in wanted:
            continue
        number, jpeg = next(jpegs)
        image = _drawn([labels[name] for name in behind], found)
        for name, mask in zip(behind, found, strict=True):
            covered[name] += int(np.count_nonzero(mask & (image != labels[name])))
        yield f"JPEGImages/{clip.key}/{number:05d}.jpg", jpeg
        yield f"Annotations/{clip.key}/{number:05d}.png", encode_labels(image)
    objects = [_object(clip, name, labels[name], places, covered[name]) for name in labels]
    yield about_name(clip.key), clip.about(places).encode(objects=objects)


def image_sets(keys: Sequence[str], val_share: float) -> Mapping[str, bytes]:
    """The two lists, which together name each clip once.

    A clip's place follows from its id alone, so that it stays where it is as clips are added.

    Args:
        val_share: of the clips that are to validate, in [0, 1].
    """
    held = {key for key in keys if _draw(key) < val_share}
    return {
        "ImageSets/2017/train.txt": _lines([key for key in keys if key not in held]),
        "ImageSets/2017/val.txt": _lines([key for key in keys if key in held]),
    }


def palette() -> NDArray[np.uint8]:
    """(256, 3) colours of labels as PASCAL VOC and DAVIS have them.

    Bits 0, 1, 2 of a label are the highest of red, green and blue, bits 3, 4, 5 the next ones.
    """
    labels = np.arange(256)[:, None]
    colours = np.zeros((256, 3), np.int64)
    for bit in range(3):
        colours |= (labels >> (3 * bit + np.arange(3)) & 1) << (7 - bit)
    return colours.astype(np.uint8)


def encode_labels(labels: _Labels) -> bytes:
    """(H, W) labels as an 8-bit PNG with the palette of ``palette``."""
    image = Image.fromarray(labels, "P")
    image.putpalette(palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_LEVEL)
    return buffer.getvalue()


def _places(clip: StoredClip) -> list[int]:
    """The frames of which we know where all masklets are; with ``trim`` from where one is seen."""
    places = clip.places(*clip.picked)
    seen = [any(flags) for flags in zip(*map(clip.visible, clip.picked), strict=True)]
    runs = spans(places, seen)
    if not (clip.trim and runs):
        return places
    return [place for place in places if runs[0][0] <= place <= runs[-1][-1]]


def _drawn(labels: Sequence[int], masks: Sequence[Mask]) -> _Labels:
    image = np.zeros(masks[0].shape, np.uint8)
    for label, mask in zip(labels, masks, strict=True):
        image[mask] = label
    return image


def _object(
    clip: StoredClip, name: str, label: int, places: Sequence[int], covered: int
) -> Mapping[str, Any]:
    shown = [clip.visible(name)[place] for place in places]
    runs = spans(range(len(shown)), shown)
    return {
        "label": label,
        "masklet": name,
        "visible": [[run[0], run[-1] + 1] for run in runs],
        "covered_pixels": covered,
    }


def _draw(key: str) -> float:
    """A number in [0, 1) of a clip's id."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


def _lines(keys: Sequence[str]) -> bytes:
    return "".join(f"{key}\n" for key in keys).encode()
