"""Which mask belongs to which frame: by number, by order or by time. Pure.

- **By number**, where every mask has the number of a frame. Frames of a video count from 0.
- **By order**, where names do not tell it and there are as many masks as frames. The row says so.
- **By time**, for mask videos: as many frames as the video, or at a rate that is a whole part or
  a whole multiple of the video's.

A last mask behind the last frame is dropped, as a last frame may lack its mask; all else is refused
with the numbers. With ``source.frame_step`` above 1 masks belong to every n-th frame alone, and are
counted as those are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mav_pipeline.schema.errors import InputError

BY_ORDER, FROM_ZERO = "by_order", "from_zero"


@dataclass(frozen=True, slots=True)
class Match:
    """The frame of each mask.

    Attributes:
        frames: frame number by the mask's number or place; masks that are not in it have no frame.
        notes: slugs of the rules that were used where names did not tell.
    """

    frames: Mapping[int, int]
    notes: tuple[str, ...] = ()


def by_names(masks: Collection[int], frames: Sequence[int], *, is_video: bool) -> Match:
    """Of masks that are numbered.

    Args:
        masks: numbers of all masks of a clip, whatever object they are of.
        frames: numbers of the frames that may have one, ascending.
        is_video: frames were counted from 0, not named.

    Raises:
        InputError: neither numbers nor counts agree.
    """
    ordered, there = sorted(masks), frozenset(frames)
    behind = [mask for mask in ordered if mask not in there]
    if behind and len(ordered) == len(frames):
        return Match(dict(zip(ordered, frames, strict=True)), (BY_ORDER,))
    if not behind or (behind == ordered[-1:] and len(ordered) > 1):
        is_doubtful = is_video and ordered[0] == 1
        found = {mask: mask for mask in ordered if mask in there}
        return Match(found, (FROM_ZERO,) if is_doubtful else ())
    raise _unlike(
        f"{_several(len(ordered), 'mask')}, numbered {_range(ordered)}, for "
        f"{_several(len(frames), 'frame')}, {'counted' if is_video else 'numbered'} "
        f"{_range(frames)}: neither numbers nor counts agree"
    )


def by_order(count: int, frames: Sequence[int]) -> Match:
    """Of masks whose names tell no number: as many as there are frames.

    Raises:
        InputError: there are more or fewer.
    """
    if count != len(frames):
        raise _unlike(
            f"{_several(count, 'mask')} without numbers in their names for "
            f"{_several(len(frames), 'frame')}: which frames they are of cannot be told"
        )
    return Match(dict(enumerate(frames)), (BY_ORDER,))


def by_time(count: int, rate: float, frames: Sequence[int], fps: float) -> Match:
    """Of a mask video.

    Args:
        count, rate: its frames, and how many a second.
        frames: numbers of the video's frames that may have a mask.
        fps: how many of those there are a second.

    Raises:
        InputError: counts differ, and rates are no whole parts of each other, or counts do not
            agree with them.
    """
    if count == len(frames):
        same = _times(fps, rate) == 1
        return Match(dict(enumerate(frames)), () if same else (BY_ORDER,))
    if (step := _times(fps, rate)) and abs(count - -(-len(frames) // step)) <= 1:
        return Match(dict(zip(range(count), frames[::step], strict=False)))
    if (step := _times(rate, fps)) and abs(-(-count // step) - len(frames)) <= 1:
        return Match(dict(zip(range(0, count, step), frames, strict=False)))
    raise _unlike(
        f"the mask video has {_several(count, 'frame')} at {rate:.6g} a second, the video "
        f"{len(frames)} at {fps:.6g}: neither counts nor rates agree"
    )


def _times(rate: float, other: float) -> int:
    """How many times ``rate`` is ``other``; 0 where that is no whole number."""
    times = round(rate / other)
    return times if times and abs(rate / other - times) < 1e-4 * times else 0


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _range(numbers: Sequence[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"


def _unlike(cause: str) -> InputError:
    return InputError("frame_count", cause, role="mask", stage="masks")
