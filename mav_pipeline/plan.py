"""Planning, pure: which clips, in which shards, under which fingerprint; what has changed since.

Knows nothing of storage: ``plan.parquet`` goes in and out as a pyarrow table.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mav_pipeline.schema import ClipRef, FileRef, Problem, ShardSpec

#: A key of a WebDataset sample, and never a path.
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]+")

PLAN_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("video_id", pa.string()),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        ("role", pa.string()),
                        ("uri", pa.string()),
                        ("offset", pa.int64()),
                        ("size", pa.int64()),
                        ("version", pa.string()),
                    ]
                )
            ),
        ),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)


def select(
    clips: Iterable[ClipRef], include: Sequence[str] = (), limit: int | None = None
) -> list[ClipRef]:
    """The clips to build, in id order; unsafe and repeated ids get a problem and stay.

    Args:
        include: clip ids or globs; empty means all.
        limit: the first so many of what is left.
    """
    ordered = sorted(clips, key=lambda clip: (clip.video_id, _place(clip)))
    if include:
        patterns = re.compile("|".join(fnmatch.translate(pattern) for pattern in include))
        ordered = [clip for clip in ordered if patterns.match(clip.video_id)]
    selected: list[ClipRef] = []
    for clip in ordered[:limit]:
        if not _SAFE_ID.fullmatch(clip.video_id):
            message = f"plan of video: {clip.video_id!r} has other characters than A-Za-z0-9_-"
            clip = replace(clip, problem=Problem("failed", "bad_id", message))
        elif selected and selected[-1].video_id == clip.video_id:
            message = f"plan of video: the id stands twice, in {_place(selected[-1])} already"
            clip = replace(clip, problem=Problem("failed", "duplicate_id", message))
        selected.append(clip)
    return selected


def _place(clip: ClipRef) -> str:
    return clip.files[0].uri if clip.files else clip.video_id


def make_shards(clips: Sequence[ClipRef], clips_per_shard: int) -> list[ShardSpec]:
    """Consecutive runs of ``clips_per_shard`` clips; the last shard may be shorter."""
    starts = range(0, len(clips), clips_per_shard)
    return [
        ShardSpec(number, tuple(clips[start : start + clips_per_shard]))
        for number, start in enumerate(starts)
    ]


def fingerprint(config: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """sha256 hex of everything but the inputs that reaches a byte of a shard.

    The inputs are held to ``plan.parquet`` file by file (``changed_files``): hashed in here, their
    paths and times would make the same clips in a tar, or after a repair, another set.

    Args:
        config: ``RunConfig.fingerprinted()``.
        identity: ``MattingBackend.identity()``: hashes of weights.
    """
    text = json.dumps({"config": config, "identity": identity}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``key: was X, now Y`` for each key that differs."""
    missing = object()
    return [
        f"{key}: was {_shown(old, key)}, now {_shown(new, key)}"
        for key in sorted({*old, *new})
        if old.get(key, missing) != new.get(key, missing)
    ]


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "unset"


def changed_files(old: Sequence[ShardSpec], new: Sequence[ShardSpec]) -> list[str]:
    """``uri: is new | is gone | has changed`` for each input file that differs, in path order."""
    before, now = _files(old), _files(new)
    lines = []
    for uri in sorted({*before, *now}):
        if before.get(uri) != now.get(uri):
            what = "is new" if uri not in before else "is gone" if uri not in now else "has changed"
            lines.append(f"{uri} {what}")
    return lines


def _files(shards: Sequence[ShardSpec]) -> dict[str, list[FileRef]]:
    files: dict[str, list[FileRef]] = {}
    for shard in shards:
        for clip in shard.clips:
            for ref in clip.files:
                files.setdefault(ref.uri, []).append(ref)
    return files


def to_table(shards: Sequence[ShardSpec]) -> pa.Table:
    """One row a clip, of ``PLAN_SCHEMA``."""
    rows = [
        {
            "shard": shard.name,
            "video_id": clip.video_id,
            "files": [
                {
                    "role": ref.role,
                    "uri": ref.uri,
                    "offset": ref.offset,
                    "size": ref.size,
                    "version": ref.version,
                }
                for ref in clip.files
            ],
            "status": clip.problem.status if clip.problem else None,
            "reason": clip.problem.reason if clip.problem else None,
            "message": clip.problem.message if clip.problem else None,
        }
        for shard in shards
        for clip in shard.clips
    ]
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)


def from_table(table: pa.Table) -> list[ShardSpec]:
    """The shards that ``to_table`` wrote."""
    grouped: dict[str, list[ClipRef]] = {}
    for row in table.to_pylist():
        files = tuple(FileRef(**ref) for ref in row["files"])
        problem = None
        if row["status"] is not None:
            problem = Problem(row["status"], row["reason"], row["message"])
        grouped.setdefault(row["shard"], []).append(ClipRef(row["video_id"], files, problem))
    return [
        ShardSpec(int(name.removeprefix("mav-")), tuple(clips)) for name, clips in grouped.items()
    ]
