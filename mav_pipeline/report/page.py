"""Gathers what a report says and writes its page.

Whatever the page shows stands in the set: no clock, no host, no path of this machine. A clip has no
page of its own but a view in this one, made by its script from the rows: 50,000 clips are one file
to write, copy and open, from a disk too, where a page may not read others; nothing stale stays
behind a rebuild; and no id becomes a path.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mav_pipeline.config import ReportConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import is_indexed
from mav_pipeline.dataset.gate_files import read_gate
from mav_pipeline.report.bounds import Limit, limits_of
from mav_pipeline.report.charts import (
    PLOT_HEIGHT,
    PLOT_WIDTH,
    Bar,
    Histogram,
    bars,
    histogram,
    number,
    parts,
    rate,
)
from mav_pipeline.report.choose import choose
from mav_pipeline.report.masklets import in_order, pack
from mav_pipeline.report.sheets import Sheet, sheets
from mav_pipeline.schema import JUDGED, MASKLET_STATUSES, RunReport, ShardReceipt
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.passed_over import PASSED_OVER
from mav_pipeline.schema.statuses import stored as stored_statuses

_ERROR_ROWS = 100  # of the table of failures, which is there without the script too
_REASON_ROWS = 40
_LEAST_SPAN_S = 60  # receipts are dated to the second: over less, a rate between them says nothing


def write_report(built: BuiltSet, config: ReportConfig) -> None:
    """Writes ``report/index.html``: self-contained, the same bytes for the same set.

    A shard or a clip that cannot be read is named on the page.

    Raises:
        OutputError: a receipt, a manifest or the gate cannot be read.
    """
    as_built = built.rows()
    kept = stored_statuses(built.keep_rejected)
    stored = pc.and_(pc.is_in(as_built["status"], pa.array(kept)), as_built["masklet"].is_valid())
    rows, quality = _judged(built, as_built, config.gate)
    limits, report, receipts = limits_of(quality), built.report(), built.receipts()
    script, style = _own("report.js"), _own("report.css")
    page = _template().render(
        name=str(built.storage).rstrip("/").rpartition("/")[2],
        script=script,
        style=style,
        script_hash=_csp_hash(script),
        style_hash=_csp_hash(style),
        report=report,
        run=built.run,
        gate=config.gate,
        rejects=quality["enabled"],
        clips=parts({key: n for key, n in report.clips.items() if key != "planned"}),
        masklets=parts(_masklets(rows)),
        reasons=_reasons(rows),
        passed_over=_passed_over(report),
        failures=_failed(rows).slice(0, _ERROR_ROWS).to_pylist(),
        failed=_failed(rows).num_rows,
        unpublished=list(built.failures().values()),
        histograms=_histograms(rows, limits),
        plot=(PLOT_WIDTH, PLOT_HEIGHT),
        sheets=_sheets(built, rows, np.asarray(stored), limits, config),
        rows=rows.num_rows,
        packed=pack(rows, limits),
        facts=_facts(built.run),
        shown_scores=list(dict.fromkeys(("quality", *(limit.score for limit in limits)))),
        stages=_stages(report),
        busy_rate=_busy_rate(report),
        rate=_rate_over_time(receipts.values()),
        number=number,
    )
    built.storage.put(layout.REPORT_PAGE, page.encode())


def _judged(
    built: BuiltSet, rows: pa.Table, name: str | None
) -> tuple[pa.Table, Mapping[str, Any]]:
    """The rows by a gate, or as built, and the ``quality`` group that judged them."""
    if name is None:
        return rows, built.run["config"]["quality"]
    if not is_indexed(built):
        raise OutputError(
            f"{built.storage} is not finished, so that no gate covers it; "
            "`mav build output.root=...` ends it"
        )
    gate = read_gate(built.storage, name)
    return gate.apply(rows), gate.quality


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=True,  # ids and errors come from outside
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_own("report.html.j2"))


def _own(name: str) -> str:
    """A file of this package."""
    return resources.files("mav_pipeline.report").joinpath(name).read_text("utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    config = run["config"]
    source, matting, output = config["source"], config["matting"], config["output"]
    facts = {
        "Fingerprint": run["fingerprint"],
        "Backend": matting["name"],
        "Source": f"{source['name']}, masklets {source['masklets']}",
        "Stored": f"alpha as {output['alpha']}, RGB {output['rgb']}",
    }
    for name, weights in sorted(run.get("weights", {}).items()):
        facts[f"Weights: {name}"] = str(weights)
    versions = sorted(run.get("versions", {}).items())
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in versions)
    return facts


def _passed_over(report: RunReport) -> Sequence[tuple[str, int, str, str]]:
    """Of each reason its slug, how many files it holds for, what it means, and some names."""
    passed = report.passed_over
    meanings = {reason.slug: reason.meaning for reason in PASSED_OVER}
    return [
        (slug, count, meanings.get(slug, ""), ", ".join(passed.names[slug]))
        for slug, count in passed.counts.items()
    ]


def _stages(report: RunReport) -> tuple[Bar, ...]:
    """Busy time, its share, and what an alpha frame took of it."""
    busy, frames = sum(report.stages_s.values()) or 1, max(1, report.frames)

    def text(seconds: float) -> str:
        frame = number(1000 * seconds / frames)
        return f"{seconds:,.1f} s, {seconds / busy:.0%}, {frame} ms a frame"

    return bars([(stage, s, text(s), "plain") for stage, s in report.stages_s.items()])


def _busy_rate(report: RunReport) -> str | None:
    busy = sum(report.stages_s.values())
    return f"{report.frames / busy:,.1f}" if busy else None


def _rate_over_time(receipts: Iterable[ShardReceipt]) -> Histogram | None:
    found = list(receipts)
    times = np.array([datetime.fromisoformat(r.published_at).timestamp() for r in found])
    if not found or np.ptp(times) < _LEAST_SPAN_S:
        return None
    return rate(times, np.array([float(receipt.frames) for receipt in found]))


def _masklets(rows: pa.Table) -> dict[str, int]:
    found = Counter(rows.filter(rows["masklet"].is_valid())["status"].to_pylist())
    return {status: found[status] for status in MASKLET_STATUSES}


def _reasons(rows: pa.Table) -> tuple[Bar, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    grouped = rows.filter(pc.greater(pc.list_value_length(rows["reasons"]), 0))
    pairs = zip(grouped["reasons"].to_pylist(), grouped["status"].to_pylist(), strict=True)
    for reasons, status in pairs:
        counts.update((reason, status) for reason in reasons)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_REASON_ROWS]
    return bars([(reason, n, f"{n:,} {status}", status) for (reason, status), n in ordered])


def _failed(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.equal(rows["status"], "failed"))


def _histograms(rows: pa.Table, limits: tuple[Limit, ...]) -> list[Histogram]:
    found = []
    by_status = {s: rows.filter(pc.equal(rows["status"], s)) for s in JUDGED}
    for score in in_order(limits):
        values = {s: t[score].to_numpy().astype(np.float64) for s, t in by_status.items()}
        own = [limit for limit in limits if limit.score == score]
        if (made := histogram(score, values, own)) is not None:
            found.append(made)
    return found


def _sheets(
    built: BuiltSet,
    rows: pa.Table,
    stored: NDArray[np.bool_],
    limits: tuple[Limit, ...],
    config: ReportConfig,
) -> list[Sheet]:
    source = built.run["config"]["source"]
    return sheets(
        built.storage,
        {name: layout.data(receipt.tar.name) for name, receipt in built.receipts().items()},
        choose(rows, limits, config.masklets, stored=stored),
        frames=config.frames,
        max_pixels=source["max_pixels"],
    )
