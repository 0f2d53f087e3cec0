"""Picks masklets by the manifest, and turns their clips into files, one clip at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from mav_pipeline.config import ExportConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import is_indexed
from mav_pipeline.dataset.gate_files import index_sha256, read_gate
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.export.clip import StoredClip
from mav_pipeline.export.layouts import EXPORT_LAYOUTS, Files
from mav_pipeline.export.target import Target
from mav_pipeline.planning.plan import chosen
from mav_pipeline.schema import Members
from mav_pipeline.schema.errors import ConfigError, InputError, OutputError
from mav_pipeline.schema.keys import is_safe

_log = logging.getLogger(__name__)

_Clips = dict[str, list[str]]  # masklets by clip

#: Raised by whatever changes what is exported under unchanged keys: no export goes on in another's.
REVISION = 2


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with each clip."""

    files: Files
    facts: Callable[[StoredClip], Mapping[str, Any]]
    trim: bool


@dataclass(slots=True)
class Exported:
    """What ``mav export`` did.

    Attributes:
        there: clips that an earlier run has exported.
        problems: clips or shards that cannot be read, and why; the others are exported.
    """

    root: str
    format: str
    clips: int = 0
    masklets: int = 0
    files: int = 0
    there: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def export(built: BuiltSet, config: ExportConfig, target: Target) -> Exported:
    """Writes the accepted masklets of a finished set in another layout.

    Raises:
        ConfigError: there is no such layout or encoding, the set stores no pictures, or
            ``export.include`` names no clip.
        OutputError: the set is not finished, or ``target`` holds something else.
    """
    kind = EXPORT_LAYOUTS.get(config.format)
    encoding, files = kind.chosen(config.encoding)
    if kind.pictures and built.run["config"]["output"]["rgb"] == "none":
        raise ConfigError(
            f"export.format={config.format} needs pictures, and {built.storage} was built with "
            "output.rgb=none; build a set with output.rgb=source or output.rgb=jpeg"
        )
    if not is_indexed(built):
        raise OutputError(
            f"output.root={built.storage} is not finished; `mav build output.root=...` ends it"
        )
    rows = decode_rows(built.storage.read(layout.MANIFEST))
    about: dict[str, Any] = {"format": config.format, "revision": REVISION}
    about |= {key: getattr(config, key) for key in kind.options}
    if encoding is not None:
        about["encoding"] = encoding
    if config.gate is not None:
        gate = read_gate(built.storage, config.gate)
        rows, about["gate"] = gate.apply(rows), gate.name
        about["quality"] = dict(gate.quality)
    accepted = _accepted(rows)
    picked = _pick(accepted, config)
    target.claim({**about, "index_sha256": index_sha256(built.storage)})
    result, there = Exported(repr(target), config.format), {*target.keys()}
    for shard, clips in picked.items():
        missing = {key: names for key, names in clips.items() if key not in there}
        result.there += len(clips) - len(missing)
        if missing:
            _shard(built, shard, missing, _Work(files, kind.facts, config.trim), target, result)
            _log.info("%s: %d clips, %d files so far", shard, result.clips, result.files)
    if kind.whole is not None:
        whole = {*target.keys()}
        keys = dict.fromkeys(row["key"] for row in accepted if row["key"] in whole)
        for name, data in kind.whole(target.receipts(keys), config).items():
            target.put(name, data)
    return result


def _accepted(rows: pa.Table) -> list[dict[str, Any]]:
    rows = rows.select(("key", "masklet", "shard", "status")).to_pylist()
    accepted = [row for row in rows if row["status"] == "accepted"]
    for row in accepted:
        if not (is_safe(row["key"]) and is_safe(row["masklet"])):
            name = f"{row['key']!r} {row['masklet']!r}"
            raise OutputError(f"{layout.MANIFEST} names {name}, which may not become a file's name")
    return accepted


def _pick(accepted: Sequence[dict[str, Any]], config: ExportConfig) -> dict[str, _Clips]:
    """By shard the clips to export, in the manifest's order."""
    ids = dict.fromkeys(row["key"] for row in accepted)
    named = chosen(ids, config.include)
    if config.include and not named:
        raise ConfigError(
            f"export.include={','.join(config.include)} names none of the {len(ids)} clips with "
            "an accepted masklet"
        )
    wanted = {*[key for key in ids if key in named][: config.limit]}
    picked: dict[str, _Clips] = {}
    for row in accepted:
        if row["key"] in wanted:
            clips = picked.setdefault(row["shard"], {})
            clips.setdefault(row["key"], []).append(row["masklet"])
    return picked


def _shard(
    built: BuiltSet,
    shard: str,
    wanted: _Clips,
    work: _Work,
    target: Target,
    result: Exported,
) -> None:
    left = dict(wanted)
    try:
        for key, members in _samples(built, shard):
            if (masklets := left.pop(key, None)) is None:
                continue
            try:
                clip = StoredClip.open(members, masklets, work.trim)
                about = {**work.facts(clip), "masklets": masklets}
                result.files += target.add(key, work.files(clip), about)
            except (ValueError, InputError) as error:
                result.problems[key] = f"it cannot be exported: {error}"
                continue
            result.clips += 1
            result.masklets += len(masklets)
            if not left:
                return
    except (FileNotFoundError, ValueError) as error:
        result.problems[shard] = f"the tar cannot be read: {error}"
    else:
        result.problems |= dict.fromkeys(left, f"the sample is not in {shard}")


def _samples(built: BuiltSet, shard: str) -> Iterator[tuple[str, Members]]:
    return stored_samples(built.storage, layout.data(built.receipts()[shard].tar.name))
