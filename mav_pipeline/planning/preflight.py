"""Everything that can be found wrong before the first clip is read.

config -> source, plan, keys -> held against what the output already has -> Prepared
"""

from __future__ import annotations

import logging
from dataclasses import replace

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_plan, read_run, recorded
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.planning import fingerprint
from mav_pipeline.planning import plan as planning
from mav_pipeline.planning.begin import Prepared, uncollected
from mav_pipeline.planning.resume import check_finishes, check_same, left_to_build
from mav_pipeline.schema import Plan
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.schema.passed_over import PassedOver
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
        fingerprint.check_held(run)
        config = fingerprint.as_recorded(config, fingerprint.held_keys(run))
    config = replace(config, quality=config.quality.resolved())
    if run is not None:
        check_same(output, run, fingerprint.keys_of(config, weights))
    held = _read(output, layout.PLAN) if run is not None else None
    before = None if held is None else read_plan(held)
    found, passed_over = _discovered(config, before)
    if run is None or before is None:
        plan, pending, rebuilds = found, list(found.shards), set[str]()
    else:
        built = BuiltSet(output, run, before)
        plan, pending, rebuilds = left_to_build(built, found, config.resume.rebuild)
    if run is not None and pending:
        check_finishes(output, run, fingerprint.keys_of(config, weights))
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
        passed_over=passed_over if run is None else recorded(run),
    )


def _discovered(config: RunConfig, before: Plan | None) -> tuple[Plan, PassedOver]:
    """Lists the source and lays its clips out in shards; and what is no clip of it.

    Raises:
        ConfigError: it has no clip.
    """
    found = open_source(config).discover(before)
    clips = planning.select(found.clips, config.source.include, config.source.limit)
    if not clips:
        count = len(found.clips)
        what = f"{count} clips, none of which source.include names" if count else "no clips"
        others = f"; passed over: {found.passed_over}" if found.passed_over.counts else ""
        raise ConfigError(
            f"source.root={config.source.root} holds {what} in the layout of "
            f"source={config.source.name}; see conf/source/{config.source.name}.yaml{others}"
        )
    plan = planning.make_plan(clips, config.output.clips_per_shard, found.tars)
    return plan, found.passed_over


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
