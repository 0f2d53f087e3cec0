"""Pictures of a sample's masklets, small and inlined: frame, mask, alpha, the object on a ground.

Holds one frame of the clip at a time and the small pictures, however long the clip is.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from mav_pipeline.dataset.sample import alpha_frames, read_document, rgb_frames
from mav_pipeline.media.foreground import checkerboard, foreground, on_ground
from mav_pipeline.media.images import encode_png
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.media.seek import key_frames
from mav_pipeline.media.sizing import SizeRule, scale
from mav_pipeline.report.shown import Places, costs, limit, shown
from mav_pipeline.schema import AlphaFrame, Frame, Members
from mav_pipeline.schema.document import MaskletDocument, SampleDocument

_SIDE = 288  # pixels of a picture's longer side: four of them fill a page
_WORK = SizeRule(mode="fit", max_pixels=640 * 360, width=1, height=1)  # a crop of it is still sharp
_LEAST_CROP = 0.4  # of the frame's sides: small objects keep some of their surroundings
_MARGIN = 1.25  # crop over the object's box
_SQUARE = 12  # pixels of a checkerboard square
_SEEN = 12  # of 255: fainter alpha does not widen a crop
_AROUND = 16  # pixels around an object from which the colours behind it are told


@dataclass(frozen=True, slots=True)
class Strip:
    """An inlined image of some frames, one below the other; width and height are those of one."""

    title: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """Of one masklet.

    Attributes:
        numbers: of the frames shown, as the source video counts them.
        strips: frame, mask, alpha and composite; mask and alpha where the sample has no RGB.
    """

    numbers: tuple[int, ...]
    strips: tuple[Strip, ...]


def pictures(
    members: Members,
    names: Sequence[str],
    *,
    count: int,
    max_pixels: int | None,
    video_pixels: float,
) -> list[Pictures]:
    """Pictures of masklets of one sample, in their order; RGB is gone through once for all.

    Args:
        names: of the masklets.
        count: frames of each.
        max_pixels: of a frame; larger ones are not decoded.
        video_pixels: how much of a stored video may be decoded; see ``shown.limit``.

    Raises:
        ValueError, LookupError, TypeError, InputError, cv2.error: the sample is damaged.
    """
    sample = _Sample(members, read_document(members))
    pixels = sample.document.width * sample.document.height
    if max_pixels is not None and pixels > max_pixels:
        raise ValueError(f"a frame has {pixels} pixels, source.max_pixels is {max_pixels}")
    masklets = [sample.document.masklet(name) for name in names]
    visible = [[p for p, seen in enumerate(m.visible) if seen] for m in masklets]
    cost = sample.costs()
    most = limit(visible, sample.document.frame_indices, cost, count, video_pixels / pixels)
    sights = [
        sample.sight(masklet, shown(places, cost, count, most))
        for masklet, places in zip(masklets, visible, strict=True)
    ]
    sample.look(sights)
    return [sight.pictures() for sight in sights]


@dataclass(frozen=True, slots=True)
class _Sight:
    """One masklet on the frames shown, all of one size; ``frames`` are filled in as they come.

    Attributes:
        crop: rows and columns of a frame at working size.
    """

    numbers: tuple[int, ...]
    crop: tuple[slice, slice]
    masks: Sequence[AlphaFrame]
    alphas: Sequence[AlphaFrame]
    frames: list[Frame] = field(default_factory=list)

    def pictures(self) -> Pictures:
        strips = [_lossless("mask", self.masks), _lossless("alpha", self.alphas)]
        if self.frames:
            height, width = self.alphas[0].shape
            board = checkerboard(height, width, _SQUARE)
            pairs = zip(self.frames, self.alphas, strict=True)
            boards = [_over(board, frame, alpha) for frame, alpha in pairs]
            strips.insert(0, _lossy("frame", self.frames))
            strips.append(_lossy("on a checkerboard", boards))
        return Pictures(self.numbers, tuple(strips))


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sample, decoded where somebody asks; pixels at working size."""

    members: Members
    document: SampleDocument

    def costs(self) -> Places:
        """Of each annotated frame, what it takes to decode it; see ``shown.costs``."""
        numbers, video = self.document.frame_indices, self.members.get("rgb.mp4")
        return costs(numbers, numbers if video is None else key_frames(video))

    def sight(self, masklet: MaskletDocument, places: Sequence[int]) -> _Sight:
        """What mask and alpha are at places, which ascend; their masklet is visible on each."""
        alphas = [self._alpha(masklet.name, place) for place in places]
        masks = [self._mask(masklet, place) for place in places]
        crop = _crop(np.maximum.reduce([*masks, *alphas]))
        return _Sight(
            tuple(self.document.frame_indices[place] for place in places),
            crop,
            [_small(mask[crop]) for mask in masks],
            [_small(alpha[crop]) for alpha in alphas],
        )

    def look(self, sights: Sequence[_Sight]) -> None:
        """Adds to each sight its frames, where the sample holds RGB."""
        if not any(name.startswith("rgb.") for name in self.members):
            return
        numbers = sorted({number for sight in sights for number in sight.numbers})
        for number, frame in zip(numbers, rgb_frames(self.members, numbers), strict=True):
            scaled = self._scaled(frame)
            for sight in sights:
                if number in sight.numbers:
                    sight.frames.append(_small(scaled[sight.crop]))

    def _alpha(self, name: str, place: int) -> AlphaFrame:
        numbers = self.document.frame_indices
        alpha = next(alpha_frames(self.members, name, numbers, place, place + 1), None)
        if alpha is None:
            raise ValueError(f"alpha of {name} has fewer frames than the json names")
        return self._scaled(alpha)

    def _mask(self, masklet: MaskletDocument, place: int) -> AlphaFrame:
        """The mask at a visible place, as 0 and 255 and what scaling makes of them."""
        rle = parse_rle(masklet.mask[place], *self.document.shape, role="mask")
        if rle is None:
            raise ValueError(f"mask of {masklet.name} is empty on a visible frame")
        return self._scaled(decode_rle(rle).view(np.uint8) * np.uint8(255))

    def _scaled(self, image: Frame) -> Frame:
        if image.shape[:2] != self.document.shape:
            size = f"{self.document.width}x{self.document.height}"
            raise ValueError(f"an image is {image.shape[1]}x{image.shape[0]}, the json says {size}")
        return scale(image, _WORK(*self.document.shape))


def _crop(shown: AlphaFrame) -> tuple[slice, slice]:
    """Rows and columns around the object on all frames, in the shape of the frame.

    Args:
        shown: the largest of mask and alpha on any frame.
    """
    height, width = shown.shape
    x, y, w, h = cv2.boundingRect((shown > _SEEN).view(np.uint8))
    share = min(1.0, max(_MARGIN * w / width, _MARGIN * h / height, _LEAST_CROP))
    slices = []
    for start, length, whole in ((y, h, height), (x, w, width)):
        side = max(1, round(share * whole))
        first = min(max(0, start + length // 2 - side // 2), whole - side)
        slices.append(slice(first, first + side))
    return slices[0], slices[1]


def _small(image: Frame) -> Frame:
    height, width = image.shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _over(board: Frame, frame: Frame, alpha: AlphaFrame) -> Frame:
    """The object's own colours on a board, without the ground they were filmed on."""
    board = board.copy()
    x, y, w, h = cv2.boundingRect((alpha > 0).view(np.uint8))
    if w and h:
        rows = slice(max(0, y - _AROUND), y + h + _AROUND)
        columns = slice(max(0, x - _AROUND), x + w + _AROUND)
        part = rows, columns
        colours = foreground(frame[part], alpha[part])
        board[part] = on_ground(colours, alpha[part], board[part])
    return board


def _lossless(title: str, frames: Sequence[AlphaFrame]) -> Strip:
    return _strip(title, frames, "png", encode_png(np.concatenate(frames)))


def _lossy(title: str, frames: Sequence[Frame]) -> Strip:
    """WebP by its quickest method: a quarter of the usual one's time, for a quarter more bytes."""
    data = io.BytesIO()
    Image.fromarray(np.concatenate(frames)).save(data, "WEBP", quality=80, method=0)
    return _strip(title, frames, "webp", data.getvalue())


def _strip(title: str, frames: Sequence[Frame], kind: str, data: bytes) -> Strip:
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return Strip(title, uri, frames[0].shape[1], frames[0].shape[0])
