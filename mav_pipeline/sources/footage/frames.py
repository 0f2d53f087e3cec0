"""The frames of a clip of footage: of a video, or of a folder of pictures.

Both say which frames there are and how large, and give those that are asked for, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mav_pipeline.config import Rgb
from mav_pipeline.media.video import VideoFacts, annotated_frames, probe_video
from mav_pipeline.schema import Clip, ClipRef, Content, FileRef, Frame, LoadedClip, Member
from mav_pipeline.schema.about import ClipAbout
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.about import read_about
from mav_pipeline.sources.footage.files import numbered
from mav_pipeline.sources.image_frames import image_frames, image_shape
from mav_pipeline.sources.rgb import RgbImages
from mav_pipeline.storage import Storage, fetch_ref


class Frames(Protocol):
    """The frames of a clip.

    Attributes:
        numbers: of all frames, ascending, as masks may name them.
        size: (H, W) of each as shown.
        fps: of all frames.
        environment: where somebody said it.
        is_video: whether they were counted from 0, not named.
    """

    @property
    def numbers(self) -> Sequence[int]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def fps(self) -> float: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def is_video(self) -> bool: ...

    def shown(self, number: int) -> int:
        """The number that a sample has for a frame."""
        ...

    def load(self, clip: Clip, wanted: Sequence[int], rgb: Rgb) -> LoadedClip:
        """The clip with the frames of ``wanted`` numbers, which ascend."""
        ...


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video, counted from 0; see ``Frames``."""

    storage: Storage
    file: FileRef
    max_pixels: int

    environment: None = None
    is_video: bool = True

    @cached_property
    def content(self) -> Content:
        return fetch_ref(self.storage, self.file)

    @cached_property
    def facts(self) -> VideoFacts:
        """Raises InputError."""
        return probe_video(self.content, step=1, annotated=None, max_pixels=self.max_pixels)

    @property
    def numbers(self) -> Sequence[int]:
        return self.facts.indices

    @property
    def size(self) -> tuple[int, int]:
        return self.facts.height, self.facts.width

    @property
    def fps(self) -> float:
        return self.facts.fps

    def shown(self, number: int) -> int:
        return number

    def load(self, clip: Clip, wanted: Sequence[int], rgb: Rgb) -> LoadedClip:
        images = RgbImages()
        add, only = images.add if rgb == "jpeg" else None, frozenset(wanted)
        frames = annotated_frames(self.content, self.facts, clip.size, jpeg=add, only=only)
        if rgb == "jpeg":
            return LoadedClip(clip, frames, images.members)
        # The name is the format's, whatever the container: readers tell it by its content.
        stored: tuple[Member, ...] = (("rgb.mp4", self.content),) if rgb == "source" else ()
        return LoadedClip(clip, frames, lambda: stored)


@dataclass(frozen=True)
class FolderFrames:
    """The pictures of a folder; see ``Frames``.

    Attributes:
        files: by number, ascending.
        rate: where nothing else says it.
        about: what an export says of the clip.
    """

    storage: Storage
    files: dict[int, FileRef]
    max_pixels: int
    rate: float
    about: ClipAbout | None

    is_video: bool = False

    @classmethod
    def open(cls, storage: Storage, ref: ClipRef, max_pixels: int, rate: float) -> FolderFrames:
        """Raises InputError where what is said of the clip does not hold."""
        refs = ref.role("frame")
        numbers = numbered(refs) or range(len(refs))
        about = read_about(storage, ref)
        if about is not None and len(about.frame_indices) != len(refs):
            cause = f"about/ says {len(about.frame_indices)} frames, there are {len(refs)}"
            raise InputError("json", f"{cause}; remove that file", role="about", stage="read")
        files = dict(sorted(zip(numbers, refs, strict=True)))
        return cls(storage, files, max_pixels, rate, about)

    @property
    def numbers(self) -> Sequence[int]:
        return tuple(self.files)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Of the first picture. Raises InputError."""
        return image_shape(self.storage, next(iter(self.files.values())), self.max_pixels)

    @property
    def fps(self) -> float:
        return self.rate if self.about is None else self.about.fps

    @property
    def environment(self) -> str | None:
        return None if self.about is None else self.about.environment

    @cached_property
    def _shown(self) -> dict[int, int]:
        said = self.numbers if self.about is None else self.about.frame_indices
        return dict(zip(self.numbers, said, strict=True))

    def shown(self, number: int) -> int:
        return self._shown[number]

    def load(self, clip: Clip, wanted: Sequence[int], rgb: Rgb) -> LoadedClip:
        images = RgbImages()
        frames: Iterator[Frame] = image_frames(
            self.storage,
            {self._shown[number]: file for number, file in self.files.items()},
            [self._shown[number] for number in wanted],
            shape=self.size,
            size=clip.size,
            max_pixels=self.max_pixels,
            rgb=rgb,
            images=images,
        )
        return LoadedClip(clip, frames, images.members)
