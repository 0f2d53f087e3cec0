"""One's own footage: a video or a folder of frames, and masks beside it in pictures or videos.

Which files belong together says ``pairs``, which mask is of which frame ``match``,
what masks mean ``media.label_rule``. Pass one reads masks to run lengths, the only thing that grows
with a clip's length, pass two the frames.
"""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import Rgb
from mav_pipeline.config.types import STRICT, Count, Positive
from mav_pipeline.media.labels import seeming_objects
from mav_pipeline.schema import Clip, ClipMeasure, ClipRef, LoadedClip, Plan
from mav_pipeline.schema.interfaces import Discovery, Sizing
from mav_pipeline.sources.footage.clips import footage_clips
from mav_pipeline.sources.footage.frames import FolderFrames, Frames, VideoFrames
from mav_pipeline.sources.footage.layouts import LAYOUTS
from mav_pipeline.sources.footage.masklets import MaskReader
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.sources.listing import (
    guard_bytes,
    guard_frames,
    list_source,
    screened,
    with_torn,
)
from mav_pipeline.sources.mask_images import MaskImagesConfig
from mav_pipeline.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FootageConfig(MaskImagesConfig):
    """Keys of footage; see ``MaskImagesConfig`` for the rest.

    Attributes:
        frame_step: masks belong to every so many frames, from the first on.
        fps: of frame folders, which record none.
    """

    masklets: Literal["user"]
    frame_step: Count
    fps: Positive


class Footage:
    """The ``footage`` source."""

    def __init__(self, storage: Storage, config: FootageConfig, rgb: Rgb) -> None:
        self._storage, self._config, self._rgb = storage, config, rgb
        self._masks = MaskReader(
            storage=storage,
            rule=config.rule,
            max_pixels=config.max_pixels,
            frame_step=config.frame_step,
            stride=config.stride,
        )

    def discover(self, plan: Plan | None = None) -> Discovery:
        """Pairs videos and frame folders with the masks beside; see ``Source.discover``."""
        listing = list_source(self._storage, plan)
        clips = with_torn(footage_clips(listing), listing)
        return Discovery(clips, listing.tars, listing.passing.result())

    def measure(self, ref: ClipRef) -> ClipMeasure:
        """See ``Source.measure``; the first masks stand for all, and count as seen."""
        guard_bytes(ref.files, self._config)
        sequences = self._masks.sequences(ref)
        most = max(len(masks.keys) for _, masks in sequences)
        frames = -(-most // self._config.stride)
        guard_frames(frames, self._config, "mask")
        group, masks = sequences[0]
        _, image = next(masks.pictures({masks.keys[0]: 0}))
        objects = len(sequences)
        if group.owner is None:
            objects = seeming_objects(image, self._config.rule)
        height, width = image.shape
        return ClipMeasure(objects, frames, objects * frames, height * width)

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        """See ``Source.load``."""
        guard_bytes(ref.files, self._config)
        frames = self._frames(ref)
        matched = self._masks.match(ref, frames)
        indices = self._masks.indices(matched, frames)
        guard_frames(len(indices), self._config, "mask")
        masklets = self._masks.masklets(matched, indices, frames.size)
        clip = Clip(
            video_id=ref.video_id,
            width=frames.size[1],
            height=frames.size[0],
            fps=frames.fps,
            frame_indices=tuple(map(frames.shown, indices)),
            environment=frames.environment,
            masklets=tuple(screened(masklet, self._config) for masklet in masklets),
            size=sizing(*frames.size),
        )
        return frames.load(clip, indices, self._rgb)

    def _frames(self, ref: ClipRef) -> Frames:
        limit = self._config.max_pixels
        if ref.role("video"):
            return VideoFrames(self._storage, ref.role("video")[0], limit)
        return FolderFrames.open(self._storage, ref, limit, self._config.fps)


KIND = SourceKind(
    name="footage",
    about="your own videos or folders of frames, with masks beside them as pictures or videos",
    config=FootageConfig,
    open=Footage,
    credit="The clips are the own footage of whoever built this set, and theirs to license.",
    layouts=LAYOUTS,
)
