"""Everything that can be found wrong before the first clip is read, and the beginning of a build.

config -> source, plan, fingerprint -> held against what the output already has
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mav_pipeline import __version__, plan
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_run
from mav_pipeline.errors import ConfigError, OutputError
from mav_pipeline.matting import open_backend
from mav_pipeline.schema import ClipRef, ShardSpec
from mav_pipeline.sources import open_source
from mav_pipeline.storage import LocalStorage, open_storage
from mav_pipeline.tables import encode_table

_log = logging.getLogger(__name__)

_NAMED = 10  # changes spelt out in a refusal; the rest is counted
_PACKAGES = ("av", "numpy", "opencv-python-headless", "pyarrow", "pycocotools", "pymatting", "ray")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A build that may begin: nothing has been written yet.

    Attributes:
        resumes: the output already holds this very build.
    """

    output: LocalStorage
    run: dict[str, Any]
    shards: Sequence[ShardSpec]
    resumes: bool

    @property
    def fingerprint(self) -> str:
        return str(self.run["fingerprint"])

    def begin(self) -> BuiltSet:
        """Writes ``run.json`` and ``plan.parquet`` where they are missing.

        ``run.json`` goes first: from then on the folder is known as ours. Two builders that begin
        at once write the same plan.

        Raises:
            OutputError: another builder has begun a different build here meanwhile.
        """
        data = json.dumps(self.run, sort_keys=True, indent=1).encode()
        if not self.output.create(layout.RUN, data):
            held = read_run(self.output)
            if held is not None and held["fingerprint"] != self.fingerprint:
                _refuse(self.output, plan.changed_keys(held["keys"], self.run["keys"]))
        if not self.output.exists(layout.PLAN):
            self.output.create(layout.PLAN, encode_table(plan.to_table(self.shards)))
        return BuiltSet.open(self.output)


def prepare(config: RunConfig, *, writes: bool) -> Prepared:
    """Lists, plans and checks; with ``writes`` also probes what the output can do.

    Raises:
        SetupError: naming the setting, or each key or file that differs from the build that the
            output already holds.
    """
    output = open_storage(config.output.root, "output.root")
    shards = plan_shards(config)
    identity = open_backend(config.matting, config.storage.endpoint_url).identity()
    keys = json.loads(json.dumps({**config.fingerprinted(), **_flat_identity(identity)}))
    run = {
        "fingerprint": plan.fingerprint(config.fingerprinted(), identity),
        "keys": keys,
        "config": config.to_mapping(),
        "source": {
            "root": config.source.root,
            "clips": sum(len(shard.clips) for shard in shards),
            "bytes": sum(
                ref.size for shard in shards for clip in shard.clips for ref in clip.files
            ),
        },
        "weights": identity,
        "versions": _versions(),
    }
    held = read_run(output)
    if held is None:
        _refuse_foreign(output)
    else:
        _compare(output, held, run, shards)
    if writes:
        output.probe()
    return Prepared(output, run, shards, resumes=held is not None)


def plan_shards(config: RunConfig) -> list[ShardSpec]:
    """Lists the source and lays its clips out in shards. Raises ConfigError where it has none."""
    found = open_source(config.source, config.output).discover()
    clips: list[ClipRef] = plan.select(found, config.source.include, config.source.limit)
    if not clips:
        what = f"{len(found)} clips, none of which source.include names" if found else "no clips"
        raise ConfigError(
            f"source.root={config.source.root} holds {what} in the layout of "
            f"source={config.source.name}; see conf/source/{config.source.name}.yaml"
        )
    return plan.make_shards(clips, config.output.clips_per_shard)


def _flat_identity(identity: dict[str, Any]) -> dict[str, Any]:
    return {f"weights.{key}": value for key, value in identity.items()}


def _refuse_foreign(output: LocalStorage) -> None:
    try:
        stranger = next((e.name for e in output.entries() if not layout.is_ours(e.name)), None)
        anything = next((e.name for e in output.entries() if e.name[0] != "."), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"output.root={output} cannot be listed: {error.strerror}") from error
    if stranger or anything:
        raise OutputError(
            f"output.root={output} is not empty and has no {layout.RUN}, so it is not ours "
            f"(it holds {stranger or anything}); name a new or an empty folder"
        )


def _compare(
    output: LocalStorage, held: dict[str, Any], run: dict[str, Any], shards: Sequence[ShardSpec]
) -> None:
    if held["fingerprint"] != run["fingerprint"]:
        _refuse(output, plan.changed_keys(held["keys"], run["keys"]))
    if output.exists(layout.PLAN):
        changes = plan.changed_files(BuiltSet.open(output).shards, shards)
        if changes:
            _refuse(output, changes)
    built_by = held["versions"].get("mav_pipeline")
    if built_by != __version__:
        _log.warning("this build was begun by version %s, this is %s", built_by, __version__)


def _refuse(output: LocalStorage, changes: Sequence[str]) -> None:
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    listed = "\n  ".join([*changes[:_NAMED], *more])
    raise OutputError(
        f"output.root={output} holds another build; it differs in\n  {listed}\n"
        "undo that, or name another output.root"
    )


def _versions() -> dict[str, str]:
    versions = {"mav_pipeline": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
