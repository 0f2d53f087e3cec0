"""Mask images to objects: run lengths of each, by the rule of ``media.label_rule``.

all images of a sequence -> Survey -> decide() -> each image split -> MaskObjects
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.label_rule import VOID, LabelRule, Reading, decide
from mav_pipeline.media.label_survey import WHITE_16, Survey, grays_as_colours, grays_of, labels_of
from mav_pipeline.media.mask_images import MaskImage
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import Mask, Rle
from mav_pipeline.schema.errors import InputError

#: Pictures of a sequence by their place in it; may be gone through twice.
Pictures = Callable[[], Iterable[tuple[int, MaskImage]]]

_Made = dict[int, dict[int, Rle]]  # by label, then place
_OUT = 0  # stands for what is void, in the place of a label


@dataclass(frozen=True, slots=True)
class MaskObjects:
    """The objects of a sequence.

    Attributes:
        rles: by object id, then by the place of the picture; where it is not seen, nothing.
        void_pixels: left out as void, of all pictures.
        holds: what the sequence was found to hold.
    """

    rles: Mapping[int, Mapping[int, Rle]]
    void_pixels: int
    holds: Literal["ids", "binary"]


def read_objects(pictures: Pictures, rule: LabelRule, *, one: bool, role: str) -> MaskObjects:
    """The objects of a sequence of mask images.

    Holds one image at a time, and run lengths. Goes through them once, and once more where the
    first ones looked like something else than all of them together.

    Args:
        pictures: places in any order, each once; the images of one size.
        one: whether the folder is one object's; its id is then 1.
        role: of the files, for errors.

    Raises:
        InputError: ``mask_labels``, what the images hold cannot be told, or is not what ``rule``
            says; also whatever going through them raises.
    """
    survey, is_blank, is_whole = Survey(), True, True
    reading: Reading | str | None = None
    made: _Made = {}
    for place, image in pictures():
        survey.add(image)
        now = decide(survey, rule, one)
        if now != reading:
            reading, made, is_whole = now, {}, is_whole and is_blank
        is_blank = is_blank and image.is_blank
        _split_into(made, place, image, reading)
    if isinstance(reading, str):
        raise InputError("mask_labels", reading, role=role, stage="masks")
    if not is_whole:
        made = {}
        for place, image in pictures():
            _split_into(made, place, image, reading)
    return _objects(made, reading, rule)


def seeming_objects(image: MaskImage, rule: LabelRule) -> int:
    """How many objects a label image seems to have; what it means, the whole sequence says."""
    try:
        return max(1, len(read_objects(lambda: [(0, image)], rule, one=False, role="mask").rles))
    except InputError:
        return 1


def _split_into(made: _Made, place: int, image: MaskImage, reading: Reading | str | None) -> None:
    """Adds the run lengths of each object that is seen on an image."""
    if not isinstance(reading, Reading):
        return
    for label, mask in _split(image, reading):
        rle = encode_rle(mask)
        if rle is not None:
            made.setdefault(label, {})[place] = rle


def _split(image: MaskImage, reading: Reading) -> Iterator[tuple[int, Mask]]:
    """(label, mask) of an image; labels of colours are 0xRRGGBB."""
    values, top = _values(image, reading)
    if reading.void is not None:
        yield _OUT, values == reading.void
    if reading.holds == "ids":
        for label in labels_of(values):
            if label != reading.void:
                yield label, values == label
        return
    inside = values > 0 if reading.nonzero else values > top // 2
    yield 1, inside if reading.void is None else inside & (values != reading.void)


def _values(image: MaskImage, reading: Reading) -> tuple[NDArray[Any], int]:
    """(H, W) of what counts, and the largest value that it can have."""
    if reading.by == "opacity" and image.alpha is not None:
        return image.alpha, 255
    if reading.by == "opacity" and image.seen is not None:
        return np.full(image.shape, 255, np.uint8), 255
    if reading.by == "colour":
        return (image.values if image.form == "colour" else grays_as_colours(image)), 0
    if reading.by == "index" and image.form == "palette":
        return image.values, 255
    gray, top = grays_of(image), image.top
    if gray is None:  # a palette of colours among images of another kind, which are cut
        return np.where(image.values > 0, np.uint8(255), np.uint8(0)), 255
    top = 255 if reading.narrow and top == WHITE_16 else top
    if reading.holds == "ids" and top != reading.top:
        return gray.astype(np.uint16) * np.uint16(reading.top // top), reading.top
    return gray, top


def _objects(made: _Made, reading: Reading | None, rule: LabelRule) -> MaskObjects:
    """What was split, by the objects' own numbers, without what is void."""
    out = [*made.pop(_OUT, {}).values()]
    if reading is not None and reading.by == "colour":
        made = _numbered(made)
        if isinstance(rule.void, int):
            out += made.pop(rule.void, {}).values()
    drawn = reading is not None and reading.by in ("index", "colour")
    if drawn and rule.void == "auto" and VOID in made:
        if len(made) > 1:
            out += made.pop(VOID).values()
        else:  # DAVIS 2016 style: the one object is 255
            made = {1: made[VOID]}
    holds = "binary" if reading is None else reading.holds
    return MaskObjects(dict(sorted(made.items())), sum(rle.area for rle in out), holds)


def _numbered(made: _Made) -> _Made:
    """Objects by colour, by their numbers."""
    if made.keys() <= _VOC.keys():
        return {_VOC[colour]: rles for colour, rles in made.items()}
    return {number: made[colour] for number, colour in enumerate(sorted(made), 1)}


def _voc_colour(index: int) -> int:
    """0xRRGGBB of an entry of PASCAL VOC's colour map: bits of the index, spread over channels."""
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> (3 * bit) & 1) << (7 - bit)
        green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
        blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
    return red << 16 | green << 8 | blue


_VOC = {_voc_colour(index): index for index in range(1, 256)}
