"""Sheets of chosen masklets: finds their samples, and has several pictured at once.

Reads no tar but those that hold a chosen masklet, each until the last one is found. What cannot be
read becomes a problem of its masklets, never an error.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.report.choose import Choice
from mav_pipeline.report.pictures import Strip, pictures
from mav_pipeline.report.shown import VIDEO_PIXELS
from mav_pipeline.schema import Members
from mav_pipeline.schema.errors import InputError
from mav_pipeline.storage import Storage

_THREADS = 8  # at most, each with one clip in memory


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


@dataclass(frozen=True, slots=True)
class _Part:
    """Chosen masklets of one shard, by their clips."""

    tar: str
    clips: Mapping[str, Sequence[Choice]]

    def holds(self, key: str, extension: str) -> bool:
        """Whether a member of the tar is read: the json, RGB and the alpha of chosen masklets."""
        name = extension.partition(".")[0]
        return key in self.clips and (
            name in ("json", "rgb") or any(choice.masklet == name for choice in self.clips[key])
        )


def sheets(
    storage: Storage,
    tars: Mapping[str, str],
    choices: Sequence[Choice],
    *,
    frames: int,
    max_pixels: int | None,
) -> list[Sheet]:
    """A sheet of each choice, in their order.

    Args:
        tars: path of each published shard's tar.
        frames: shown of each masklet.
        max_pixels: samples with larger frames are not decoded.
    """
    threads = min(_THREADS, os.cpu_count() or 1)
    reader = _Reader(storage, frames, max_pixels, VIDEO_PIXELS / max(1, len(choices)))
    with ThreadPoolExecutor(threads, thread_name_prefix="mav-report") as pool:
        made = pool.map(reader.part, _parts(tars, choices, threads))
        found = {sheet.choice.name: sheet for sheet in itertools.chain.from_iterable(made)}
    return [found[choice.name] for choice in choices]


def _parts(tars: Mapping[str, str], choices: Iterable[Choice], each: int) -> Iterator[_Part]:
    """The chosen clips of a shard, in up to ``each`` parts: its tar is gone through for each."""
    shards: dict[str, dict[str, list[Choice]]] = {}
    for choice in choices:
        shards.setdefault(choice.shard, {}).setdefault(choice.key, []).append(choice)
    for shard, clips in sorted(shards.items()):
        keys, size = sorted(clips), -(-len(clips) // each)
        for start in range(0, len(keys), size):
            yield _Part(tars[shard], {key: clips[key] for key in keys[start : start + size]})


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes sheets; ``video_pixels`` may be decoded for each of them."""

    storage: Storage
    frames: int
    max_pixels: int | None
    video_pixels: float

    def part(self, part: _Part) -> list[Sheet]:
        """The sheets of a part, in any order."""
        made: list[Sheet] = []
        left = dict(part.clips)
        problem = f"the sample is not in {part.tar}"
        try:
            for key, members in stored_samples(self.storage, part.tar, part.holds):
                made += self._clip(members, left.pop(key))
                if not left:
                    break
        except (OSError, ValueError) as error:
            problem = f"{part.tar} cannot be read: {_cause(error)}"
        missing = itertools.chain.from_iterable(left.values())
        return [*made, *(Sheet(choice, problem=problem) for choice in missing)]

    def _clip(self, members: Members, choices: Sequence[Choice]) -> list[Sheet]:
        """Sheets of masklets of one sample, whose video is gone through once."""
        try:
            made = pictures(
                members,
                [choice.masklet for choice in choices],
                count=self.frames,
                max_pixels=self.max_pixels,
                video_pixels=self.video_pixels * len(choices),
            )
            pairs = zip(choices, made, strict=True)
            return [Sheet(choice, one.numbers, one.strips) for choice, one in pairs]
        except (ValueError, LookupError, TypeError, InputError, cv2.error) as error:
            problem = f"the sample cannot be decoded: {_cause(error)}"
            return [Sheet(choice, problem=problem) for choice in choices]


def _cause(error: Exception) -> str:
    """An error in words, without the host's paths that an OSError holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error!r}" if isinstance(error, LookupError) else str(error)
