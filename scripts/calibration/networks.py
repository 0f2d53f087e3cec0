"""Networks of all sources and of all but one, kept in the working folder once they are fitted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from mav_pipeline.quality.expected import Network
from mav_pipeline.quality.traits import NAMES

from .cases import Row
from .code import code
from .fit import is_fitted
from .network import train
from .points import Points
from .rows import measured, version
from .sources import Source, sources

_log = logging.getLogger(__name__)


def networks(
    known: Mapping[str, Source], shared: Path, work: Path, processes: int
) -> dict[str | None, Network]:
    """By the source that each has not seen; None is of all that are fitted."""
    (work / "networks").mkdir(parents=True, exist_ok=True)
    wanted = [None, *(name for name, source in known.items() if source.fitted)]
    files = {name: _file(work, name) for name in wanted}
    todo = [name for name in wanted if not files[name].exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        jobs = {pool.submit(_fit, name, shared, work): name for name in todo}
        for job in as_completed(jobs):
            name = jobs[job]
            files[name].write_text(json.dumps(job.result().document()), encoding="utf-8")
            _log.info("network without %s", name)
    return {
        name: Network.of(json.loads(file.read_text(encoding="utf-8")))
        for name, file in files.items()
    }


def scored(rows: Sequence[Row], points: Sequence[Points], network: Network) -> list[Row]:
    """The rows with what a network expects."""
    return [
        dataclasses.replace(row, scores={**row.scores, "expected_error": seen.expected(network)})
        for row, seen in zip(rows, points, strict=True)
    ]


def _file(work: Path, without: str | None) -> Path:
    made = code("./network.py", "./networks.py", "./fit.py")
    name = hashlib.sha256(f"{version()} {made}".encode()).hexdigest()[:16]
    return work / "networks" / f"{without or 'all'} {name}.json"


def _fit(without: str | None, shared: Path, work: Path) -> Network:
    """In a process of its own, on one core."""
    rows, points = measured(shared, work, 1)
    known = sources(shared)
    chosen = [n for n, row in enumerate(rows) if is_fitted(row, known, without)]
    with threadpool_limits(1):
        return train([rows[n] for n in chosen], [points[n] for n in chosen], NAMES)
