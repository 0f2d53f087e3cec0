"""Gathers what a report says and writes its page.

Whatever the page shows stands in the set: no clock, no host, no path of this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mav_pipeline.config import ReportConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.report.charts import (
    PLOT_HEIGHT,
    PLOT_WIDTH,
    Bar,
    Histogram,
    bars,
    histogram,
    number,
    parts,
)
from mav_pipeline.report.choose import choose
from mav_pipeline.report.gates import Gate, gates_of
from mav_pipeline.report.pictures import Sheet, sheets
from mav_pipeline.schema import SCORES, RunReport

_ERROR_ROWS = 100  # of the table of failures; the manifest has them all
_REASON_ROWS = 40
_LEAST_SPAN_S = 60  # receipts are dated to the second: over less, a rate between them says nothing

_GROUPS = {
    "rejected": ("Rejected", "farthest beyond a gate first"),
    "borderline": ("Accepted, closest to a gate", "what a tighter gate would drop first"),
    "worst": ("Accepted, worst", "by the mean of their ranks over all scores"),
    "random": ("Accepted, any", "in the order of a hash of their names"),
}


def write_report(built: BuiltSet, config: ReportConfig) -> None:
    """Writes ``report/index.html``: self-contained, the same bytes for the same set.

    A shard or a clip that cannot be read is named on the page.

    Raises:
        OutputError: a receipt or a manifest cannot be read.
    """
    rows, run = built.rows(), built.run["config"]
    quality = run["quality"]
    gates = gates_of(quality)
    page = _template().render(
        name=str(built.storage).rstrip("/").rpartition("/")[2],
        report=(report := built.report()),
        run=built.run,
        facts=_facts(built.run),
        rate=_rate(report),
        stages=bars([(k, v, f"{v:,.1f} s", "plain") for k, v in report.stages_s.items()]),
        outcomes={"Clips": _outcome(report.clips), "Masklets": parts(report.masklets)},
        reasons=_reasons(rows),
        failures=_failures(rows),
        failed=_failed_count(rows),
        unpublished=[f for name, f in built.failures().items()],
        gates_on=quality["enabled"],
        histograms=_histograms(rows, gates),
        plot=(PLOT_WIDTH, PLOT_HEIGHT),
        groups=_grouped(_sheets(built, rows, gates, config)),
        number=number,
    )
    built.storage.put(f"{layout.REPORT}/index.html", page.encode())


def _template() -> jinja2.Template:
    text = resources.files("mav_pipeline.report").joinpath("report.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=True,  # ids and errors come from strangers
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(text)


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


def _rate(report: RunReport) -> dict[str, str]:
    """Throughput in words; an entry only where there is something to measure."""
    rate = {}
    busy = sum(report.stages_s.values())
    if busy:
        rate["alpha frames per busy second"] = f"{report.frames / busy:,.1f}"
    if report.wall_s >= _LEAST_SPAN_S:
        rate["alpha frames per second, first to last receipt"] = f"{report.frames_per_s:,.1f}"
    return rate


def _outcome(clips: Mapping[str, int]) -> tuple[Bar, ...]:
    return parts({key: count for key, count in clips.items() if key != "planned"})


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


def _failed_count(rows: pa.Table) -> int:
    return int(_failed(rows).num_rows)


def _failures(rows: pa.Table) -> list[dict[str, Any]]:
    columns = ("video_id", "masklet", "shard", "reasons", "error")
    return list(_failed(rows).select(columns).slice(0, _ERROR_ROWS).to_pylist())


def _histograms(rows: pa.Table, gates: tuple[Gate, ...]) -> list[Histogram]:
    found = []
    by_status = {s: rows.filter(pc.equal(rows["status"], s)) for s in ("accepted", "rejected")}
    for score in SCORES:
        values = {s: t[score].to_numpy().astype(np.float64) for s, t in by_status.items()}
        own = [gate for gate in gates if gate.score == score]
        if (made := histogram(score, values, own)) is not None:
            found.append(made)
    return found


def _sheets(
    built: BuiltSet, rows: pa.Table, gates: tuple[Gate, ...], config: ReportConfig
) -> list[Sheet]:
    run = built.run["config"]
    kept = ("accepted", "rejected") if run["quality"]["keep_rejected"] else ("accepted",)
    return sheets(
        built.storage,
        {name: layout.data(receipt.tar.name) for name, receipt in built.receipts().items()},
        choose(rows, gates, config.masklets, statuses=kept),
        frames=config.frames,
        max_pixels=run["source"]["max_pixels"],
        frame_step=run["source"]["frame_step"],
    )


def _grouped(made: list[Sheet]) -> list[tuple[str, str, list[Sheet]]]:
    groups = []
    for group, (title, order) in _GROUPS.items():
        if found := [sheet for sheet in made if sheet.choice.group == group]:
            groups.append((title, order, found))
    return groups
