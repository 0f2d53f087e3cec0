"""How a build ended: whether that is good enough, and if not, why and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema import RunReport
from mav_pipeline.schema.reasons import REASONS
from mav_pipeline.schema.statuses import stored
from mav_pipeline.sources.registry import SOURCES

_REASONS = 5  # of the most frequent, named


def shortcoming(report: RunReport, config: RunConfig) -> str | None:
    """Why a build that did all it could ends with exit code 3; None where nothing is amiss.

    Args:
        report: of the set as it stands now.
    """
    if pending := report.shards.get("pending"):
        return (
            f"{pending} of {report.shards['planned']} shards are neither published nor given up, "
            "so nothing that describes the whole set was written; run again"
        )
    if report.state != "complete":
        return f"some shards failed: see {layout.FAILURES}/ in {config.output.root}; run again"
    if has_no_sample(report, config):
        return _no_sample(report, config)
    if over_budget(report, config):
        budget = f"quality.max_failed_fraction={config.quality.max_failed_fraction}"
        clips = f"{report.clips['failed']} of {report.clips['planned']} clips"
        return f"{clips} failed, over {budget}; {layout.MANIFEST} says why"
    return None


def over_budget(report: RunReport, config: RunConfig) -> bool:
    """Whether more clips failed than ``quality.max_failed_fraction`` of the planned ones."""
    allowed = config.quality.max_failed_fraction * report.clips["planned"]
    return report.clips["failed"] > allowed


def has_no_sample(report: RunReport, config: RunConfig) -> bool:
    """Whether not one sample came out of a source that is not empty."""
    kept = stored(config.quality.keep_rejected)
    return report.clips["planned"] > 0 and not any(report.masklets[status] for status in kept)


def _no_sample(report: RunReport, config: RunConfig) -> str:
    """What became of the clips and masklets, the most frequent reasons, and the ways out."""
    planned = report.clips["planned"]
    clips = _listed({name: n for name, n in report.clips.items() if name != "planned"})
    lines = [
        f"not one sample came out of {planned} clip{'s' * (planned > 1)}",
        f"  clips: {clips}; masklets: {_listed(report.masklets)}",
        *_reasons(report, config),
        *([f"  files passed over: {report.passed_over}"] if report.passed_over.counts else []),
        f"  {layout.MANIFEST} in {config.output.root} says it of each; `mav report` shows it",
    ]
    return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _reasons(report: RunReport, config: RunConfig) -> list[str]:
    own = (SOURCES.get(config.source.name).reasons, BACKENDS.get(config.matting.name).reasons)
    known = {reason.slug: reason for reason in (*REASONS, *own[0], *own[1])}
    lines = []
    for slug, count in report.reasons.items():
        reason = known.get(slug)
        if reason is None:  # of another version, or a package that is gone
            lines.append(f"  {count} x {slug}")
        elif reason.fault != "note":
            lines.append(f"  {count} x {slug}: {reason.meaning}; way out: {reason.way_out}")
    return [*islice(lines, _REASONS)]
