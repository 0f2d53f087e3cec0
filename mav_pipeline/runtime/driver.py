"""The loop of a build: hands out shards, retries them, records what fails; then the final files.

Knows neither Ray nor threads: a ``Crew`` builds.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize, is_final
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.errors import Interrupted, ShardError
from mav_pipeline.report import write_report
from mav_pipeline.runtime.crew import Crew
from mav_pipeline.runtime.local import LocalCrew
from mav_pipeline.runtime.preflight import Prepared, prepare
from mav_pipeline.runtime.progress import Display, open_display
from mav_pipeline.runtime.queue import ShardQueue
from mav_pipeline.schema import RunReport, ShardSpec

_log = logging.getLogger(__name__)

_TICK_S = 0.5  # how late a signal or a retry may be noticed


def build(config: RunConfig) -> RunReport:
    """Plans or resumes, builds every unpublished shard, writes the final files.

    Raises:
        SetupError: before anything is written.
        Interrupted: SIGINT or SIGTERM; the output is resumable.
    """
    start = time.monotonic()
    prepared = prepare(config, writes=True)
    frames = 0
    with _stop_on_signals() as stop:
        pending = _pending(prepared)
        if pending:
            with contextlib.closing(_open_crew(config, prepared.fingerprint, len(pending))) as crew:
                crew.start()
                built = prepared.begin()
                with open_display(pending, config.runtime.progress_s) as display:
                    run_shards(crew, pending, built, config, stop, display)
                frames = crew.progress().frames
        built = prepared.begin()
        if pending or not is_final(built):
            write_report(built, config.report)
            finalize(built)
    return built.report(wall_s=time.monotonic() - start, built_frames=frames)


def over_budget(report: RunReport, config: RunConfig) -> bool:
    """Whether more clips failed than ``quality.max_failed_fraction`` of the planned ones."""
    allowed = config.quality.max_failed_fraction * report.clips["planned"]
    return report.clips["failed"] > allowed


def _pending(prepared: Prepared) -> list[ShardSpec]:
    if not prepared.resumes:
        return list(prepared.shards)
    done = prepared.begin().receipts()
    return [shard for shard in prepared.shards if shard.name not in done]


def _open_crew(config: RunConfig, fingerprint: str, shards: int) -> Crew:
    if config.runtime.name == "local":
        return LocalCrew(config, fingerprint)
    from mav_pipeline.runtime.cluster import RayCrew  # ray is an extra

    return RayCrew(config, fingerprint, shards)


def run_shards(
    crew: Crew,
    shards: list[ShardSpec],
    built: BuiltSet,
    config: RunConfig,
    stop: threading.Event,
    display: Display,
) -> None:
    """Builds ``shards`` with ``crew``; every one ends with a receipt or a failure record."""
    queue = ShardQueue(
        shards,
        max_attempts=config.runtime.max_attempts,
        retry_wait_s=config.runtime.retry_wait_s,
    )
    while queue:
        if stop.is_set():
            raise Interrupted("stopped by a signal; the same command goes on from here")
        while crew.has_room() and (task := queue.take(time.monotonic())):
            crew.submit(task)
        for outcome in crew.wait(_TICK_S):
            if isinstance(outcome.result, ShardError):
                _log.warning(
                    "%s attempt %d: %s",
                    outcome.task.spec.name,
                    outcome.task.attempt,
                    outcome.result,
                )
                failure = queue.failed(outcome.task, outcome.result, time.monotonic())
                if failure is not None:
                    display.shard_failed()
                    record_failure(built.storage, failure)
            else:
                queue.published(outcome.task)
                display.shard_published()
        display.update(crew.progress(), crew.workers(), len(queue))


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal acts as if we were not here."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
