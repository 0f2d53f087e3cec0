"""What is in memory while a clip is matted: masks, frames, alpha, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema.content import Content
from mav_pipeline.schema.inputs import Problem
from mav_pipeline.schema.statuses import MaskletStatus

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Alpha = NDArray[np.uint8]  # (T, H, W), 255 = opaque
AlphaFrame = NDArray[np.uint8]  # (H, W), 255 = opaque
Mask = NDArray[np.bool_]  # (H, W)
Masks = NDArray[np.bool_]  # (T, H, W)


@dataclass(frozen=True, slots=True)
class WorkingSize:
    """How a clip's pixels lie in the array that a backend sees.

    The source (H, W) is scaled to (``height``, ``width``) and edge-padded at the bottom and the
    right to (``pad_height``, ``pad_width``).
    """

    height: int
    width: int
    pad_height: int
    pad_width: int


@dataclass(frozen=True, slots=True)
class Rle:
    """A COCO run-length encoded mask at source resolution; ``counts`` is the compressed form."""

    height: int
    width: int
    counts: bytes
    area: int


@dataclass(frozen=True, slots=True)
class Masklet:
    """One object's masks through a clip.

    Attributes:
        name: ``manual_003``: kind and object id, unique in the clip.
        rles: one a frame of ``Clip.frame_indices``; None where the object is invisible.
        size_bucket: the annotators' small / medium / large, where they gave one.
        problem: why it must not be matted (empty, speck, broken RLE).
        annotated: one a frame too: whether anybody looked for the object there; None where that is
            every frame. It is invisible where nobody did.
        void_pixels: of the mask images it was read from, left out as no object's; None where its
            masks are no images.
        rules: slugs of those by which its source settled what names left open, for its row.
    """

    name: str
    id: int
    kind: str
    rles: tuple[Rle | None, ...]
    size_bucket: str | None = None
    problem: Problem | None = None
    annotated: tuple[bool, ...] | None = None
    void_pixels: int | None = None
    rules: tuple[str, ...] = ()

    @property
    def visible(self) -> tuple[bool, ...]:
        return tuple(rle is not None for rle in self.rles)

    @property
    def looked_for(self) -> tuple[bool, ...]:
        """``annotated``, of every frame."""
        return (True,) * len(self.rles) if self.annotated is None else self.annotated

    @property
    def notes(self) -> tuple[str, ...]:
        """Slugs that its row shall have beside its verdict's reasons."""
        return self.rules if all(self.looked_for) else (*self.rules, "partly_annotated")


@dataclass(frozen=True, slots=True)
class Clip:
    """The facts of a clip and its masks; its frames come beside it, see ``LoadedClip``.

    Attributes:
        width, height: source resolution as displayed (rotation applied).
        fps: of the source video, not of the annotated frames.
        frame_indices: source frame number of each annotated frame.
        size: how the frames that a backend sees relate to the source pixels.
    """

    video_id: str
    width: int
    height: int
    fps: float
    frame_indices: tuple[int, ...]
    environment: str | None
    masklets: tuple[Masklet, ...]
    size: WorkingSize


#: A file of a sample: its extension, and what it holds.
Member = tuple[str, Content]


@dataclass(frozen=True, slots=True)
class LoadedClip:
    """A clip, and its annotated frames in time order; they can be gone through once.

    Attributes:
        frames: each (clip.size.pad_height, clip.size.pad_width, 3) RGB, decoded as they are taken.
        rgb: what the sample stores as RGB, in order; to be asked when all frames were taken.
    """

    clip: Clip
    frames: Iterable[Frame]
    rgb: Callable[[], Sequence[Member]] = tuple


@dataclass(frozen=True, slots=True)
class Matte:
    """A block of consecutive alpha frames of one masklet; frames in no block are transparent.

    Attributes:
        start: index of the first frame into ``Clip.frame_indices``; blocks of a masklet ascend.
        alpha: (t, size.pad_height, size.pad_width).
        size: how ``alpha`` relates to the source pixels.
        note: a stable slug where a fallback was used, e.g. ``solver_fallback``.
    """

    masklet: Masklet
    start: int
    alpha: Alpha
    size: WorkingSize
    note: str | None = None


@dataclass(frozen=True, slots=True)
class MatteFailure:
    """A masklet that the backend could not matte, for a reason that a retry will not cure."""

    masklet: Masklet
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class Seams:
    """Where a temporal backend joins its pieces, as indices into ``Clip.frame_indices``.

    ``windows`` and ``chunks`` hold the first frame after each border; ``count`` is the number of
    windows run, 0 for a backend that looks at frames one by one.
    """

    windows: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates say of one matte: status, reasons and the scores they looked at."""

    status: MaskletStatus
    reasons: tuple[str, ...]
    scores: Mapping[str, float | None]
