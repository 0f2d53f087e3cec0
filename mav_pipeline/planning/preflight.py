"""Everything that can be found wrong before the first clip is read, and the beginning of a build.

config -> source, plan, fingerprint -> held against what the output already has
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import platform
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mav_pipeline import __version__
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_plan, read_run
from mav_pipeline.dataset.plan_file import to_table
from mav_pipeline.dataset.receipts import published
from mav_pipeline.matting import open_backend
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.planning import plan as planning
from mav_pipeline.schema import Plan, ShardSpec
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.sources import open_source
from mav_pipeline.storage import Storage, open_output

_log = logging.getLogger(__name__)

_NAMED = 10  # changes spelt out in a refusal; the rest is counted
_PACKAGES = ("av", "numpy", "opencv-python-headless", "pyarrow", "pycocotools", "pymatting", "ray")


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: it would walk a plan's million objects again and again.

    That takes a third of the time of a plan of 50,541 clips; little of what is made is garbage.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A build that may begin: nothing has been written yet.

    Attributes:
        plan: what is built.
        held: the plan file that the output has; None without one.
        renews: ``plan`` has the repaired inputs of failed clips and shall take its place.
        resumes: the output already holds this very build.
        pending: the shards that are to be built.
        rebuilds: names of those of them that are published and shall be replaced.
    """

    output: Storage
    run: dict[str, Any]
    plan: Plan
    held: bytes | None
    renews: bool
    resumes: bool
    pending: Sequence[ShardSpec]
    rebuilds: Collection[str]

    @property
    def fingerprint(self) -> str:
        return str(self.run["fingerprint"])

    @_uncollected()
    def begin(self) -> BuiltSet:
        """Writes ``run.json`` and ``plan.parquet`` where they are missing or renewed; once.

        ``run.json`` goes first: from then on the folder is known as ours. Two builders that begin
        at once write the same plan.

        Raises:
            OutputError: another builder has begun a different build here meanwhile.
        """
        data = json.dumps(self.run, sort_keys=True, indent=1).encode()
        if not self.output.create(layout.RUN, data):
            held = read_run(self.output)
            if held is not None and held["fingerprint"] != self.fingerprint:
                _refuse(self.output, planning.changed_keys(held["keys"], self.run["keys"]))
        if self.held is not None and not self.renews:
            return BuiltSet(self.output, self.run, self.plan)
        encoded = encode_table(to_table(self.plan))
        if self.held is None:
            self.output.create(layout.PLAN, encoded)
        else:
            self.output.swap(layout.PLAN, self.held, encoded)
        built = BuiltSet.open(self.output)
        if built.plan != self.plan:
            raise OutputError(
                f"another builder wrote {layout.PLAN} in output.root={self.output} meanwhile; "
                "run the same command again"
            )
        return built


@_uncollected()
def prepare(config: RunConfig, *, writes: bool) -> Prepared:
    """Lists, plans and checks; with ``writes`` also probes what the output can do.

    Raises:
        SetupError: naming the setting, or each key or file that differs from the build that the
            output already holds.
    """
    output = open_output(config)
    identity = open_backend(config.matting, config.storage.endpoint_url).identity()
    fingerprint = planning.fingerprint(config.fingerprinted(), identity)
    keys = json.loads(json.dumps({**config.fingerprinted(), **_flat_identity(identity)}))
    run = read_run(output)
    if run is None:
        _refuse_foreign(output)
    elif run["fingerprint"] != fingerprint:
        changes = planning.changed_keys(run["keys"], keys)
        gates_only = all(change.startswith(("quality.min_", "quality.max_")) for change in changes)
        hint = "; other gates for a finished set: mav regate name=... quality...." * gates_only
        _refuse(output, changes, hint)
    held = _read(output, layout.PLAN) if run is not None else None
    before = None if held is None else read_plan(held)
    found = _discovered(config, before)
    if before is None:
        plan, pending, rebuilds = found, list(found.shards), set[str]()
    else:
        assert run is not None
        plan, pending, rebuilds = _resumed(
            BuiltSet(output, run, before), found, config.resume.rebuild
        )
    if writes:
        output.probe()
    begun = {
        "fingerprint": fingerprint,
        "keys": keys,
        "config": config.to_mapping(),
        "source": {
            "root": config.source.root,
            "clips": sum(1 for _ in plan.clips()),
            "bytes": sum(ref.size for clip in plan.clips() for ref in clip.files),
        },
        "weights": identity,
        "versions": _versions(),
    }
    if run is not None and run["versions"].get("mav_pipeline") != __version__:
        _log.warning(
            "this build was begun by version %s, this is %s",
            run["versions"].get("mav_pipeline"),
            __version__,
        )
    renews = before is not None and plan != before
    return Prepared(output, run or begun, plan, held, renews, run is not None, pending, rebuilds)


def _discovered(config: RunConfig, before: Plan | None) -> Plan:
    """Lists the source and lays its clips out in shards. Raises ConfigError where it has none."""
    found = open_source(config).discover(before)
    clips = planning.select(found.clips, config.source.include, config.source.limit)
    if not clips:
        count = len(found.clips)
        what = f"{count} clips, none of which source.include names" if count else "no clips"
        raise ConfigError(
            f"source.root={config.source.root} holds {what} in the layout of "
            f"source={config.source.name}; see conf/source/{config.source.name}.yaml"
        )
    return planning.make_plan(clips, config.output.clips_per_shard, found.tars)


def _resumed(built: BuiltSet, found: Plan, rebuild: str) -> tuple[Plan, list[ShardSpec], set[str]]:
    """The plan to go on with, what is left of it, and which of that is published already.

    Raises:
        OutputError: an input file differs, other than by the repair of a failed clip.
    """
    done = set(published(built.storage))
    again: set[str] = set()
    if rebuild == "failed_clips":
        failed = built.failed_clips()
        again, clips = set(failed), set().union(*failed.values())
        plan, changes = planning.renewed(built.plan, found, clips)
        hint = ""
    else:
        plan, changes = built.plan, planning.changed_files(built.plan, found)
        hint = (
            "; where that repairs failed clips: resume.rebuild=failed_clips. A file has changed "
            "where its size or time has (on S3 its etag): copy inputs as cp -p does"
        )
    if changes:
        _refuse(built.storage, [f"{uri} {what}" for uri, what in changes.items()], hint)
    left = [shard for shard in plan.shards if shard.name not in done or shard.name in again]
    return plan, left, again


def _read(output: Storage, name: str) -> bytes | None:
    try:
        return output.read(name)
    except FileNotFoundError:
        return None


def _flat_identity(identity: dict[str, Any]) -> dict[str, Any]:
    return {f"weights.{key}": value for key, value in identity.items()}


def _refuse_foreign(output: Storage) -> None:
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


def _refuse(output: Storage, changes: Sequence[str], hint: str = "") -> None:
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    listed = "\n  ".join([*changes[:_NAMED], *more])
    raise OutputError(
        f"output.root={output} holds another build; it differs in\n  {listed}\n"
        f"undo that, or name another output.root{hint}"
    )


def _versions() -> dict[str, str]:
    versions = {"mav_pipeline": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
