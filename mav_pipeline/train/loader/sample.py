"""One training sample from the members of a stored one; decodes just the frames of its crop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.dataset.sample import alpha_frames, read_document, rgb_frames
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.schema import SCORE_NAMES, Alpha, Frames, Mask, Masks, Members
from mav_pipeline.schema.document import MaskletDocument
from mav_pipeline.train.loader.backgrounds import Backgrounds, composite, resize
from mav_pipeline.train.loader.order import crop_frames, crop_window
from mav_pipeline.train.loader.select import Per


class MatteSample(TypedDict):
    """A run of T frames of H x W pixels, as a plain dict that torch's own collate can stack.

    With ``per="clip"`` everything that is a masklet's has M masklets before its other axes, and
    ``masklet`` is a list of M names.

    Attributes:
        key: the clip's id.
        masklet: its name, ``manual_003``.
        frames: (T, H, W, 3) uint8 RGB; absent where the set was built with ``output.rgb=none``.
        alpha: (T, H, W) uint8, 255 = opaque; 0 on frames where the masklet is not visible, unless
            the set's backend tracks objects.
        mask: (T, H, W) bool, the binary masks that the alpha was made from.
        visible: (T,) bool, whether the masklet is seen in the source frame.
        annotated: (T,) bool, whether anybody looked for it there. Where nobody did, it may be there
            and not be seen, and alpha is 0 unless the set's backend tracks objects.
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
    annotated: NDArray[np.bool_]
    frame_indices: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]]
    composite: NotRequired[Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMaker:
    """Makes samples; see ``MatteDataset`` for the settings.

    Attributes:
        annotated_only: whether samples keep to frames on which all their masklets are annotated.
        rgb: whether the stored samples hold RGB.
    """

    per: Per
    frames: int | None
    size: tuple[int, int] | None
    at_random: bool
    seen_first: bool
    annotated_only: bool
    rgb: bool
    backgrounds: Backgrounds | None

    def make(
        self,
        members: Members,
        masklets: Sequence[str],
        random: np.random.Generator,
    ) -> MatteSample:
        """The sample of ``masklets`` (one, unless ``per="clip"``), cropped by ``random``.

        Raises:
            ValueError: the members are not what the json says, or do not decode.
        """
        document = read_document(members)
        entries = [document.masklet(name) for name in masklets]
        indices, shape = document.frame_indices, document.shape
        size, chance = self.size or shape, random if self.at_random else None
        seen = np.array([entry.visible for entry in entries], np.bool_)
        looked = np.array([entry.annotated for entry in entries], np.bool_)
        usable = np.logical_and.reduce(looked) if self.annotated_only else np.ones_like(looked[0])
        start, stop = crop_frames(
            np.logical_or.reduce(seen), usable, self.frames, chance, seen_first=self.seen_first
        )
        count = self.frames or stop - start
        crop = _Crop(shape, crop_window(shape, size, chance), size, stop - start)
        #: The last frame stands in for those that a short clip lacks.
        take = np.minimum(np.arange(start, start + count), stop - 1)
        alpha = np.empty((len(entries), count, *size), np.uint8)
        mask = np.empty(alpha.shape, np.bool_)
        for number, entry in enumerate(entries):
            crop.fill(alpha[number], alpha_frames(members, entry.name, indices, start, stop))
            crop.fill(mask[number], _masks(entry.mask[start:stop], shape))
        which = slice(None) if self.per == "clip" else 0
        sample = MatteSample(
            key=document.key,
            masklet=[*masklets] if self.per == "clip" else masklets[0],
            alpha=alpha[which],
            mask=mask[which],
            visible=seen[which][..., take],
            annotated=looked[which][..., take],
            frame_indices=np.array(indices, np.int64)[take],
            scores={name: _scores(entries, name)[which] for name in SCORE_NAMES},
        )
        if self.rgb:
            sample["frames"] = np.empty((count, *size, 3), np.uint8)
            crop.fill(sample["frames"], rgb_frames(members, indices[start:stop]))
            if self.backgrounds is not None:
                ground = self.backgrounds.draw(size, random)
                sample["composite"] = composite(sample["frames"], sample["alpha"], ground)
        return sample


@dataclass(frozen=True, slots=True)
class _Crop:
    """What is kept of ``frames`` images of ``shape``: a window of each, brought to ``size``."""

    shape: tuple[int, int]
    window: tuple[slice, slice]
    size: tuple[int, int]
    frames: int

    def fill(self, target: NDArray[Any], images: Iterable[NDArray[Any]]) -> None:
        """Puts the crops of ``images`` into ``target``, the last one wherever it has more room."""
        count = 0
        for image in images:
            if image.shape[:2] != self.shape:
                raise ValueError(f"a frame is {image.shape[:2]}, the json says {self.shape}")
            target[count] = resize(image[self.window], self.size)
            count += 1
        if count != self.frames:
            raise ValueError(f"there are {count} frames of {self.frames}")
        target[count:] = target[count - 1]


def _masks(rles: Sequence[Any], shape: tuple[int, int]) -> Iterator[Mask]:
    """(H, W) each."""
    for data in rles:
        rle = parse_rle(data, *shape, role="mask")
        yield np.zeros(shape, np.bool_) if rle is None else decode_rle(rle)


def _scores(entries: Sequence[MaskletDocument], name: str) -> NDArray[np.float64]:
    """(M,) the score of each masklet, NaN where it has none."""
    values = [entry.scores.get(name) for entry in entries]
    return np.array([np.nan if value is None else value for value in values], np.float64)
