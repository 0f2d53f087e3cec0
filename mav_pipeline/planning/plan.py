"""Planning, pure: which clips, in which shards; which files have changed since.

Knows nothing of storage.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mav_pipeline.schema import ClipRef, FileRef, Plan, Problem, ShardSpec
from mav_pipeline.schema.keys import is_safe

_TWICE = "duplicate_id"


def chosen(ids: Iterable[str], include: Sequence[str]) -> set[str]:
    """Those that ``include``, clip ids or globs, names; all where it is empty."""
    patterns = re.compile("|".join(fnmatch.translate(pattern) for pattern in include))
    return {video_id for video_id in ids if not include or patterns.match(video_id)}


def select(
    clips: Iterable[ClipRef], include: Sequence[str] = (), limit: int | None = None
) -> list[ClipRef]:
    """The clips to build, in id order; unsafe and repeated ids get a problem and stay.

    Args:
        include: clip ids, own names or globs; empty means all.
        limit: the first so many of what is left.
    """
    ordered = sorted(clips, key=lambda clip: (clip.video_id, _place(clip)))
    if include:
        named = chosen((name for clip in ordered for name in (clip.video_id, clip.own)), include)
        ordered = [clip for clip in ordered if {clip.video_id, clip.own} & named]
    selected: list[ClipRef] = []
    for clip in ordered[:limit]:
        if clip.problem is not None and clip.problem.reason == _TWICE:
            clip = replace(clip, problem=None)  # of an earlier plan; it may stand alone by now
        if not is_safe(clip.video_id):
            message = f"plan of video: {clip.video_id!r} has other characters than A-Za-z0-9_-"
            clip = replace(clip, problem=Problem("failed", "bad_id", message))
        elif clip.problem is None and selected and selected[-1].video_id == clip.video_id:
            message = f"plan of video: the id stands twice, in {_place(selected[-1])} already"
            clip = replace(clip, problem=Problem("failed", _TWICE, message))
        selected.append(clip)
    return selected


def _place(clip: ClipRef) -> str:
    return clip.files[0].uri if clip.files else clip.video_id


def make_plan(clips: Sequence[ClipRef], clips_per_shard: int, tars: Mapping[str, str]) -> Plan:
    """Shards of consecutive runs of ``clips_per_shard`` clips; the last may be shorter."""
    starts = range(0, len(clips), clips_per_shard)
    shards = (
        ShardSpec(number, tuple(clips[start : start + clips_per_shard]))
        for number, start in enumerate(starts)
    )
    return Plan(tuple(shards), dict(tars))


def changed_files(old: Plan, new: Plan) -> dict[str, str]:
    """``is new``, ``is gone`` or ``has changed`` for each input file that differs, by its uri."""
    before, now = _files(old), _files(new)
    changes = {}
    for uri in sorted({*before, *now}):
        if before.get(uri) != now.get(uri):
            what = "is new" if uri not in before else "is gone" if uri not in now else "has changed"
            changes[uri] = what
    return changes


def renewed(old: Plan, new: Plan, failed: Collection[str]) -> tuple[Plan, dict[str, str]]:
    """The old plan with the repaired inputs of failed clips, and the changes that are no repair.

    A tar is one input: where a failed clip's has changed, all that lies in it is taken anew. Clips
    that are only in the new plan are left out, for they have no place in a shard.

    Args:
        failed: ids of the clips that have failed rows.
    """
    changes = changed_files(old, new)
    found = dict(zip(_keys(new), new.clips(), strict=True))
    mended = {
        ref.uri
        for clip in (*old.clips(), *new.clips())
        if clip.video_id in failed
        for ref in clip.files
        if ref.uri in changes
    }

    keys = _keys(old)

    def now(clip: ClipRef) -> ClipRef:
        other = found.get(next(keys), clip)
        return other if any(ref.uri in mended for ref in (*clip.files, *other.files)) else clip

    shards = tuple(replace(s, clips=tuple(now(clip) for clip in s.clips)) for s in old.shards)
    kept = {uri: version for uri, version in old.tars.items() if uri not in mended}
    tars = {**kept, **{uri: version for uri, version in new.tars.items() if uri in mended}}
    return Plan(shards, tars), {u: what for u, what in changes.items() if u not in mended}


def _keys(plan: Plan) -> Iterator[tuple[str, int]]:
    """Of each clip, its id and how many with that id stand before it, plus one."""
    seen: Counter[str] = Counter()
    for clip in plan.clips():
        seen[clip.video_id] += 1
        yield clip.video_id, seen[clip.video_id]


def _files(plan: Plan) -> dict[str, list[FileRef] | str]:
    files: dict[str, Any] = dict(plan.tars)
    for clip in plan.clips():
        for ref in clip.files:
            if ref.uri not in plan.tars:  # a tar's version stands for all that lies in it
                files.setdefault(ref.uri, []).append(ref)
    return files
