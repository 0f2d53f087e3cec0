"""Everything that can be found wrong before the first clip is read.

config -> source, plan, keys -> held against what the output already has -> Prepared
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mav_pipeline import __version__
from mav_pipeline.config import BOUNDS, RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_plan, read_run
from mav_pipeline.dataset.receipts import published
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.planning import identity
from mav_pipeline.planning import plan as planning
from mav_pipeline.planning.begin import Prepared, refuse, uncollected
from mav_pipeline.schema import Plan, ShardSpec
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.sources.registry import SOURCES, open_source
from mav_pipeline.storage import Storage, open_output

_log = logging.getLogger(__name__)


@uncollected()
def prepare(config: RunConfig, *, writes: bool) -> Prepared:
    """Lists, plans and checks; with ``writes`` also probes what the output can do.

    Raises:
        SetupError: naming the setting, or each key or file that differs from the build that the
            output already holds.
    """
    output = open_output(config)
    SOURCES.check_installed(config.source.name)
    weights = open_backend(config.matting, config.storage.endpoint_url).identity()
    run = read_run(output)
    if run is None:
        _refuse_foreign(output)
    else:
        identity.check_held(run)
        config = replace(config, matting=identity.as_recorded(config.matting, run["keys"]))
        _check_same(output, run, identity.keys(config, weights))
    held = _read(output, layout.PLAN) if run is not None else None
    before = None if held is None else read_plan(held)
    found = _discovered(config, before)
    if run is None or before is None:
        plan, pending, rebuilds = found, list(found.shards), set[str]()
    else:
        built = BuiltSet(output, run, before)
        plan, pending, rebuilds = _resumed(built, found, config.resume.rebuild)
    if run is not None and pending:
        _check_finishes(output, run, identity.keys(config, weights))
    if writes:
        output.probe()
    return Prepared(
        config=config,
        output=output,
        held_run=run,
        weights=weights,
        plan=plan,
        held_plan=held,
        renews=before is not None and plan != before,
        pending=pending,
        rebuilds=rebuilds,
    )


def _check_same(output: Storage, run: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Raises OutputError where the configuration or the weights are not those of the set."""
    found = identity.changes(identity.held_keys(run), keys)
    changes = [change for change in found if not change.is_code]
    bounds = {f"quality.{bound.key}" for bound in BOUNDS}
    if changes and all(change.key in bounds for change in changes):
        way_out = "; other bounds for a finished set: mav regate regate.name=... quality...."
        refuse(output, changes, way_out)
    if changes:
        refuse(output, changes)


def _check_finishes(output: Storage, run: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Raises OutputError where this version would not write what the one that began would."""
    begun = run["versions"].get("mav_pipeline", "unknown")
    found = identity.changes(identity.held_keys(run), keys)
    changes = [*identity.format_changes(run), *(change for change in found if change.is_code)]
    if changes:
        listed = "\n  ".join(map(str, changes))
        raise OutputError(
            f"output.root={output} was begun by version {begun} of mav_pipeline, and this one, "
            f"{__version__}, would write other bytes into it:\n  {listed}\n"
            f"finish it with version {begun}, or build anew into another output.root; whatever "
            "reads sets reads it as before"
        )
    if begun != __version__:
        _log.warning("this build was begun by version %s, this is %s", begun, __version__)


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
        refuse(built.storage, [f"{uri} {what}" for uri, what in changes.items()], hint)
    left = [shard for shard in plan.shards if shard.name not in done or shard.name in again]
    return plan, left, again


def _read(output: Storage, name: str) -> bytes | None:
    try:
        return output.read(name)
    except FileNotFoundError:
        return None


def _refuse_foreign(output: Storage) -> None:
    try:
        foreign = next((e.name for e in output.entries() if not layout.is_of_set(e.name)), None)
        anything = next((e.name for e in output.entries() if e.name[0] != "."), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"output.root={output} cannot be listed: {error.strerror}") from error
    if foreign or anything:
        raise OutputError(
            f"output.root={output} is not empty and has no {layout.RUN}, so no build "
            f"began it (it holds {foreign or anything}); name a new or an empty folder"
        )
