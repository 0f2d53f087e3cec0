"""To go on with a build: the same configuration, code and inputs, or it is refused by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mav_pipeline import __version__
from mav_pipeline.config import BOUNDS
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.receipts import published
from mav_pipeline.planning import fingerprint
from mav_pipeline.planning import plan as planning
from mav_pipeline.planning.begin import refuse
from mav_pipeline.schema import Plan, ShardSpec
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage

_log = logging.getLogger(__name__)


def check_same(output: Storage, run: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Raises OutputError where the configuration or the weights are not those of the set."""
    found = fingerprint.changes(fingerprint.held_keys(run), keys)
    changes = [change for change in found if not change.is_code]
    bounds = {f"quality.{bound.key}" for bound in BOUNDS}
    if changes and all(change.key in bounds for change in changes):
        way_out = "; other bounds for a finished set: mav regate regate.name=... quality...."
        refuse(output, changes, way_out)
    if changes:
        refuse(output, changes)


def check_finishes(output: Storage, run: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Raises OutputError where this version would not write what the one that began would."""
    begun = run["versions"].get("mav_pipeline", "unknown")
    found = fingerprint.changes(fingerprint.held_keys(run), keys)
    changes = [*fingerprint.format_changes(run), *(change for change in found if change.is_code)]
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


def left_to_build(
    built: BuiltSet, found: Plan, rebuild: str
) -> tuple[Plan, list[ShardSpec], set[str]]:
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
