"""Pictures of chosen masklets, small and inlined: frame, mask, alpha, the object on a checkerboard.

Reads no tar but those that hold a chosen masklet, each until the last one is found, and decodes
no clip but theirs. What cannot be read becomes a problem of its masklets, never an error.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mav_pipeline.dataset.sample import alpha_frames, read_document, rgb_frames
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.media.foreground import checkerboard, foreground, on_ground
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.media.sizing import SizeRule, scale
from mav_pipeline.media.video import annotated_frames, probe_video
from mav_pipeline.report.choose import Choice
from mav_pipeline.schema import AlphaFrame, Frame, Members
from mav_pipeline.schema.document import MaskletDocument
from mav_pipeline.schema.errors import InputError
from mav_pipeline.storage import Storage

_SIDE = 288  # pixels of a picture's longer side: four of them fill a page
_WORK_PIXELS = 640 * 360  # clips are decoded at this size, so that a crop of them is still sharp
_WORK_BYTES = 128 << 20  # bound on a decoded clip; longer ones are decoded smaller
_LEAST_CROP = 0.4  # of the frame's sides: small objects keep some of their surroundings
_MARGIN = 1.25  # crop over the object's box
_SQUARE = 12  # pixels of a checkerboard square
_SEEN = 12  # of 255: fainter alpha does not widen a crop
_LOSSY, _LOSSLESS = 80, 101  # WebP, as cv2 counts: frames to look at; masks and alpha as they are


@dataclass(frozen=True, slots=True)
class Strip:
    """An inlined image of some frames, one below the other; width and height are those of one."""

    title: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What can be shown of a chosen masklet.

    Attributes:
        numbers: of the frames shown, as the source video counts them.
        strips: frame, mask, alpha and composite; mask and alpha where the sample has no RGB.
        problem: why there is nothing to show, or None.
    """

    choice: Choice
    numbers: tuple[int, ...] = ()
    strips: tuple[Strip, ...] = ()
    problem: str | None = None


def sheets(
    storage: Storage,
    tars: Mapping[str, str],
    choices: Sequence[Choice],
    *,
    frames: int,
    max_pixels: int,
) -> list[Sheet]:
    """A sheet of each choice, in their order.

    Args:
        tars: path of each published shard's tar.
        frames: shown of each masklet.
        max_pixels: a stored video with larger frames is not decoded.
    """
    found: dict[tuple[str, str], Sheet] = {}
    reader = _Reader(frames, max_pixels)
    for shard in sorted({choice.shard for choice in choices}):
        wanted: dict[str, list[Choice]] = {}
        for choice in choices:
            if choice.shard == shard:
                wanted.setdefault(choice.key, []).append(choice)
        problem = f"the sample is not in {tars[shard]}"
        try:
            for key, members in stored_samples(storage, tars[shard]):
                if key in wanted:
                    made = reader.clip(members, wanted.pop(key))
                    found.update((sheet.choice.name, sheet) for sheet in made)
                if not wanted:
                    break
        except (OSError, ValueError) as error:
            problem = f"{tars[shard]} cannot be read: {_cause(error)}"
        for choice in itertools.chain.from_iterable(wanted.values()):
            found[choice.name] = Sheet(choice, problem=problem)
    return [found[choice.name] for choice in choices]


@dataclass(frozen=True, slots=True)
class _Reader:
    frames: int
    max_pixels: int

    def clip(self, members: Members, choices: Sequence[Choice]) -> list[Sheet]:
        """Sheets of masklets of one sample, whose RGB is decoded once."""
        try:
            sample = _Sample(members)
            rgb = self._rgb(sample)
            return [self._sheet(sample, rgb, choice) for choice in choices]
        except (ValueError, LookupError, TypeError, InputError, cv2.error) as error:
            problem = f"the sample cannot be decoded: {_cause(error)}"
            return [Sheet(choice, problem=problem) for choice in choices]

    def _rgb(self, sample: _Sample) -> Sequence[Frame] | None:
        """The video's annotated frames at working size; None where RGB is stored otherwise."""
        video = sample.members.get("rgb.mp4")
        if video is None:
            return None
        facts = probe_video(
            video,
            step=sample.document.step,
            annotated=len(sample.numbers),
            max_pixels=self.max_pixels,
        )
        if facts.indices != sample.numbers:
            raise ValueError("rgb.mp4 has other frames than the json names")
        size = sample.sizing(facts.height, facts.width)
        return [*annotated_frames(video, facts, size)]

    def _sheet(self, sample: _Sample, rgb: Sequence[Frame] | None, choice: Choice) -> Sheet:
        masklet = sample.document.masklet(choice.masklet)
        visible = [place for place, shown in enumerate(masklet.visible) if shown]
        count = min(self.frames, len(visible))
        places = [visible[int((i + 0.5) * len(visible) / count)] for i in range(count)]
        alphas = sample.alpha(choice.masklet, places)
        masks = [sample.mask(masklet, place) for place in places]
        if rgb is not None:
            images = [rgb[place] for place in places]
        else:
            images = [sample.image(place) for place in places] if sample.has_rgb else []
        numbers = tuple(sample.numbers[place] for place in places)
        return Sheet(choice, numbers, _strips(images, masks, list(alphas.values())))


class _Sample:
    """The members of a sample, decoded where somebody asks; all pixels at working size."""

    def __init__(self, members: Members) -> None:
        self.members, self.document = members, read_document(members)
        self.numbers = self.document.frame_indices
        self.has_rgb = any(name.startswith("rgb.") for name in members)
        pixels = min(_WORK_PIXELS, _WORK_BYTES // (3 * max(1, len(self.numbers))))
        self.sizing = SizeRule(mode="fit", max_pixels=pixels, width=1, height=1)
        self._size = self.sizing(*self.document.shape)

    def alpha(self, name: str, places: Sequence[int]) -> dict[int, AlphaFrame]:
        """Alpha at the given places, which ascend."""
        found = {}
        for place in places:
            alpha = next(alpha_frames(self.members, name, self.numbers, place, place + 1), None)
            if alpha is None:
                raise ValueError(f"alpha of {name} has fewer frames than the json names")
            found[place] = self._scaled(alpha)
        return found

    def mask(self, masklet: MaskletDocument, place: int) -> AlphaFrame:
        """The mask at a visible place, as 0 and 255 and what scaling makes of them."""
        rle = parse_rle(masklet.mask[place], *self.document.shape, role="mask")
        if rle is None:
            raise ValueError(f"mask of {masklet.name} is empty on a visible frame")
        return self._scaled(decode_rle(rle).view(np.uint8) * np.uint8(255))

    def image(self, place: int) -> Frame:
        """RGB at a place, of a sample that stores it as images."""
        return self._scaled(next(rgb_frames(self.members, [self.numbers[place]])))

    def _scaled(self, image: Frame) -> Frame:
        if image.shape[:2] != self.document.shape:
            size = f"{self.document.width}x{self.document.height}"
            raise ValueError(f"an image is {image.shape[1]}x{image.shape[0]}, the json says {size}")
        return scale(image, self._size)


def _strips(
    images: Sequence[Frame], masks: Sequence[AlphaFrame], alphas: Sequence[AlphaFrame]
) -> tuple[Strip, ...]:
    """Without ``images`` mask and alpha alone."""
    rows, columns = _crop(np.maximum.reduce([*masks, *alphas]))

    def small(frames: Sequence[Frame]) -> list[Frame]:
        return [_small(frame[rows, columns]) for frame in frames]

    masks, alphas = small(masks), small(alphas)
    gray = _strip("mask", masks, _LOSSLESS), _strip("alpha", alphas, _LOSSLESS)
    if not images:
        return gray
    frames = small(images)
    boards = [_over_checkerboard(f, alpha) for f, alpha in zip(frames, alphas, strict=True)]
    return (
        _strip("frame", frames, _LOSSY),
        *gray,
        _strip("on a checkerboard", boards, _LOSSY),
    )


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


def _over_checkerboard(frame: Frame, alpha: AlphaFrame) -> Frame:
    """The object's own colours, without the ground they were filmed on."""
    height, width = alpha.shape
    return on_ground(foreground(frame, alpha), alpha, checkerboard(height, width, _SQUARE))


def _strip(title: str, frames: Sequence[Frame], quality: int) -> Strip:
    below = np.concatenate(frames)
    bgr = cv2.cvtColor(below, cv2.COLOR_RGB2BGR if below.ndim == 3 else cv2.COLOR_GRAY2BGR)
    ok, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert ok
    uri = f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
    return Strip(title, uri, frames[0].shape[1], frames[0].shape[0])


def _cause(error: Exception) -> str:
    """An error in words, without the host's paths that an OSError holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error!r}" if isinstance(error, LookupError) else str(error)
