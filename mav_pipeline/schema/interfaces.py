"""The two main extension points: where clips come from, and what turns their masks into mattes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mav_pipeline.schema import (
    Clip,
    ClipMeasure,
    ClipRef,
    Frame,
    LoadedClip,
    Masklet,
    Matte,
    MatteFailure,
    Plan,
    Seams,
    WorkingSize,
)
from mav_pipeline.schema.passed_over import PassedOver

#: From the height and width of a source frame to the size that a backend works at.
Sizing = Callable[[int, int], WorkingSize]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies under a source root.

    Attributes:
        tars: version of each tar there.
        passed_over: what was seen and not taken; of tars that an earlier plan knew, nothing.
    """

    clips: Sequence[ClipRef]
    tars: Mapping[str, str]
    passed_over: PassedOver = field(default_factory=PassedOver)


class Source(Protocol):
    """A collection of clips with masklets. Cheap to construct; opens nothing until asked."""

    def discover(self, plan: Plan | None = None) -> Discovery:
        """Every clip under the root, those with a problem included.

        Lists, and reads the headers of tars; no video and no annotation.

        Args:
            plan: an earlier one; the tars it has indexed are not read again unless they changed.

        Raises:
            ConfigError: the root cannot be listed.
        """
        ...

    def measure(self, ref: ClipRef) -> ClipMeasure:
        """What a clip will give, from its annotations alone; for estimates.

        Raises:
            InputError: the annotation is wrong.
            OSError: the storage failed.
        """
        ...

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        """Reads and checks one clip: its facts and masks, then its frames in time order.

        Args:
            sizing: to the working size, at which the frames come.

        Raises:
            InputError: the data is wrong; the caller makes it a row. The frames may raise it too.
            OSError: the storage failed; the caller may retry.
        """
        ...


class MattingBackend(Protocol):
    """Turns binary masks into alpha. Construct cheaply, load in ``setup``, free in ``close``."""

    @property
    def multiple(self) -> int:
        """Both sides of the frames it takes are multiples of this; valid before ``setup``."""
        ...

    def identity(self) -> dict[str, str]:
        """sha256 of each of its weights by name; may read them. Empty where it has none.

        Raises:
            SetupError: something it needs is missing or wrong.
        """
        ...

    def setup(self) -> None:
        """Loads weights and warms up, so that the first clip costs what the others do.

        Raises:
            SetupError: as ``identity``, or the device cannot be used.
        """
        ...

    def settings(self) -> dict[str, str]:
        """What those of its settings came to that were ``auto``, by key; valid after ``setup``."""
        ...

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        """Yields the masklets' alpha in blocks; those of one masklet ascend.

        Best in time order, masklets interleaved, so that a long clip need not be held; the caller
        takes any order. A masklet that cannot be matted yields one ``MatteFailure`` and no block
        after it.

        Depends on clip, masklet and config alone: not on the worker, on earlier clips, nor on
        which other masklets are asked for. Frames without a mask are left out, unless the config
        says that the backend ``tracks`` its objects.

        Args:
            frames: (clip.size.pad_height, clip.size.pad_width, 3) of each annotated frame, in time
                order; taken as they are needed, and never written to.

        Raises:
            BackendError: this clip cannot be matted, and a retry would not help.
        """
        ...

    def seams(self, masklet: Masklet) -> Seams:
        """Where the mattes of ``masklet`` were joined in time."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What a receipt must say of how it works now, e.g. of memory freed; mostly nothing."""
        ...

    def close(self) -> None:
        """Frees memory and device; the instance is not used again."""
        ...
