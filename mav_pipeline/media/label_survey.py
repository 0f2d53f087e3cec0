"""What values the mask images of a sequence hold, and where they lie: counted image by image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.images import to_8_bits
from mav_pipeline.media.mask_images import MaskImage

MOST_COLOURS = 256  # more are a photograph, or soft edges
_WHITE_8, WHITE_16 = 255, 65535
_SAME_COLOUR = 8  # levels: what rounding leaves of a colour that was multiplied by its opacity
_NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(slots=True)
class Tally:
    """Pixels by value, all of them and some: arrays of as many as there are values.

    Attributes:
        pixels: of each value.
        between: of these, with a lower and a higher one among their eight neighbours.
        amid: of these, all of whose neighbours have their value.
    """

    pixels: NDArray[np.float64]
    between: NDArray[np.float64]
    amid: NDArray[np.float64]

    @classmethod
    def of(cls, size: int) -> Tally:
        return cls(*(np.zeros(size) for _ in range(3)))

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        return self.pixels, self.between, self.amid

    @property
    def largest(self) -> int:
        """The largest value that there is; 0 where there is none."""
        return int(np.flatnonzero(self.pixels)[-1]) if self.pixels.any() else 0

    def add(self, values: NDArray[Any]) -> None:
        """Counts a picture of (H, W) uint8 or uint16; what is 0 is not counted whole."""
        pixels = _histogram(values, len(self.pixels))
        self.pixels += pixels
        if np.count_nonzero(pixels[1:]) < 2:
            return  # a single value has no steps
        low, high = cv2.erode(values, _NEIGHBOURS), cv2.dilate(values, _NEIGHBOURS)
        between, amid = (low < values) & (values < high), low == high
        self.between += _histogram(values, len(pixels), between)
        self.amid += _histogram(values, len(pixels), amid)


@dataclass(slots=True)
class Survey:
    """Everything the rule looks at; an image in which all is 0 says nothing.

    Attributes:
        forms: of the images: ``palette``, ``gray``, ``colour``.
        lossy: whether one is a JPEG or of a video.
        all_shades: whether all palettes are of grays that tell their entries apart.
        transparent: whether one is not opaque everywhere.
        seen: (2, 3) least and largest channels of what can be seen, of images with an opacity.
        opacities: pixels by opacity.
        indices: pixels by palette index.
        colours, insides: pixels by colour; of these, amid their own. Over ``MOST_COLOURS``, some.
    """

    forms: set[str] = field(default_factory=set)
    lossy: bool = False
    all_shades: bool = True
    transparent: bool = False
    seen: NDArray[np.uint8] | None = None
    opacities: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))
    indices: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))
    colours: Counter[int] = field(default_factory=Counter)
    insides: Counter[int] = field(default_factory=Counter)
    _grays: dict[int, Tally] = field(default_factory=dict)  # by the largest value of a depth

    def add(self, image: MaskImage) -> None:
        """Counts one more image."""
        if image.seen is not None:
            ends = image.seen if self.seen is None else np.concatenate((self.seen, image.seen))
            self.seen = np.stack((ends.min(axis=0), ends.max(axis=0)))
        if image.alpha is not None:
            self.transparent = True
            self.opacities += _histogram(image.alpha, 256)
        if not image.values.any():
            return
        part = replace(image, values=_shown(image.values))
        self.lossy |= image.lossy
        self.forms.add(image.form)
        if image.form == "palette":
            self.all_shades &= image.shades is not None
            self.indices += _histogram(part.values, 256)
        elif image.form == "colour":
            self._add_colours(image.values)
        if (gray := grays_of(part)) is not None:
            self._grays.setdefault(image.top, Tally.of(image.top + 1)).add(gray)

    def _add_colours(self, values: NDArray[np.uint32]) -> None:
        if len(self.colours) > MOST_COLOURS:
            return
        self.colours.update(_counted(values))
        exact = values.astype(np.float32)  # 24 bits are, and OpenCV erodes no larger integers
        amid = cv2.erode(exact, _NEIGHBOURS) == cv2.dilate(exact, _NEIGHBOURS)
        self.insides.update(_counted(values[amid]))

    @property
    def is_of_one_colour(self) -> bool:
        """Whether all that can be seen of images with an opacity has one colour."""
        return self.seen is None or int((self.seen[1] - self.seen[0]).max()) <= _SAME_COLOUR

    @property
    def is_narrow(self) -> bool:
        """Whether 16 bits hold nothing above 255: they are 8 bits in a wider file."""
        return WHITE_16 in self._grays and self._grays[WHITE_16].largest <= _WHITE_8

    def grays(self) -> Tally:
        """Gray values, shades of palettes and the brightest channels of colours, of all depths.

        Brought to the deepest depth there is: as many values as that has.
        """
        narrow = {WHITE_16: _WHITE_8} if self.is_narrow else {}
        tops = {top: narrow.get(top, top) for top in self._grays}
        found = Tally.of(max(tops.values(), default=1) + 1)
        for top, tally in self._grays.items():
            step = (len(found.pixels) - 1) // tops[top]
            for whole, part in zip(found.columns(), tally.columns(), strict=True):
                part = part[: tops[top] + 1]
                whole[: step * len(part) : step] += part
        return found


def grays_of(image: MaskImage) -> NDArray[Any] | None:
    """(H, W) gray of an image: its values or shades, the brightest channel; None: it has none."""
    if image.form == "palette":
        return None if image.shades is None else np.asarray(image.shades[image.values])
    if image.form == "gray":
        return image.values
    values = image.values
    brightest = np.maximum(values >> 16, np.maximum(values >> 8 & 255, values & 255))
    return np.asarray(brightest, np.uint8)


def grays_as_colours(image: MaskImage) -> NDArray[np.uint32]:
    """(H, W) 0xRRGGBB of a gray image."""
    gray = image.values if image.top != WHITE_16 else to_8_bits(image.values)
    return gray.astype(np.uint32) * np.uint32(_WHITE_8 // min(image.top, _WHITE_8) * 0x010101)


def labels_of(values: NDArray[Any]) -> list[int]:
    """The values of (H, W) indices, grays or colours, without 0, ascending."""
    if values.dtype.itemsize > 2:
        return [label for label in np.unique(values).tolist() if label]
    counts = _histogram(_shown(values), np.iinfo(values.dtype).max + 1)
    return (np.flatnonzero(counts[1:]) + 1).tolist()


def _shown(values: NDArray[Any]) -> NDArray[Any]:
    """The part of a picture that is not 0, and a pixel around it: objects are mostly small."""
    if values.dtype.itemsize > 2:
        return values
    seen = values if values.dtype == np.uint8 else (values != 0).view(np.uint8)
    left, top, width, height = cv2.boundingRect(seen)
    rows = slice(max(0, top - 1), top + height + 1)
    return np.ascontiguousarray(values[rows, max(0, left - 1) : left + width + 1])


def _histogram(
    values: NDArray[Any], size: int, where: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    mask = None if where is None else where.view(np.uint8)
    found = cv2.calcHist([values], [0], mask, [size], [0, size])
    return np.asarray(found, np.float64).ravel()


def _counted(values: NDArray[Any]) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
