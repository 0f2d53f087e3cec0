"""The loop of a build: hands out shards, retries them, records what fails; then the final files.

Knows neither Ray nor threads: a ``WorkerPool`` builds.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mav_pipeline.build.kept import drop_all
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize, is_final
from mav_pipeline.dataset.receipts import confirm, forget_failure, record_failure
from mav_pipeline.planning.begin import Prepared
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.report import write_report
from mav_pipeline.runtime.local import LocalPool
from mav_pipeline.runtime.queue import Lost, ShardQueue, Task
from mav_pipeline.runtime.status.progress import Show, open_display
from mav_pipeline.runtime.status.tally import Tally
from mav_pipeline.runtime.workers import WorkerPool, patient_output
from mav_pipeline.schema import RunReport, ShardFailure, ShardReceipt, Stamp
from mav_pipeline.schema.errors import Interrupted, OutageError, ShardError, TransientError, lacks
from mav_pipeline.schema.stopping import STOPPED, stop_on_signals
from mav_pipeline.storage import Output, Storage

_log = logging.getLogger(__name__)

_GOES_ON = "what is published is safe, and the same command goes on once that is mended"
_TICK_S = 0.5  # how late a signal or a retry may be noticed


def build(config: RunConfig) -> RunReport:
    """Plans or resumes, builds every unpublished shard, writes the final files.

    Raises:
        SetupError: before anything is written.
        Interrupted: SIGINT or SIGTERM; the output is resumable.
        TransientError: the output failed; what it holds is whole.
    """
    prepared = prepare(config, writes=True)
    try:
        return _built(prepared, config)
    except OutageError as error:
        raise OutageError(f"{error}; {_GOES_ON}") from error
    except OSError as error:
        raise TransientError(
            f"output.root={config.output.root} failed: {error}; {_GOES_ON}"
        ) from error


def _built(prepared: Prepared, config: RunConfig) -> RunReport:
    start, frames = time.monotonic(), 0
    with stop_on_signals() as (stop, check):
        output = patient_output(config, stop)
        if not prepared.pending:
            built = prepared.begin().built
        else:
            with contextlib.closing(open_pool(prepared.config)) as pool:
                facts = pool.start(check)
                check()
                begun = prepared.begin(facts)
                built = begun.built
                pool.begin(begun.config, begun.stamp)
                tasks = [Task(s, rebuild=s.name in prepared.rebuilds) for s in prepared.pending]
                output.call(lambda _: forget(built, tasks))
                title = f"mav build {config.output.root}"
                with open_display(title, config.runtime.progress_s) as show:
                    shows = [show, *_telemetry(config, begun.stamp.fingerprint)]
                    frames = run_shards(pool, tasks, output, config, shows)

        def end(storage: Storage) -> RunReport:
            there = replace(built, storage=storage)
            _finish(there, config, is_new=bool(prepared.pending))
            report = there.report(wall_s=time.monotonic() - start, built_frames=frames)
            if report.state == "complete":
                drop_all(Stamp(built.format, str(built.run["fingerprint"])))
            return report

        return output.call(end)


def _finish(built: BuiltSet, config: RunConfig, *, is_new: bool) -> None:
    """The last step, where every shard is published or given up; it may be done again.

    Args:
        is_new: shards were built just now.
    """
    if built.report().shards["pending"]:
        return
    if is_new or not is_final(built, report=config.report.enabled):
        if config.report.enabled:
            write_report(built, replace(config.report, gate=None))  # gates are of finished sets
        finalize(built)


def open_pool(config: RunConfig) -> WorkerPool:
    """The pool that ``config.runtime`` names. Raises ConfigError where ray is not installed."""
    if config.runtime.name == "local":
        return LocalPool(config)
    try:
        from mav_pipeline.runtime.ray.pool import RayPool
    except ModuleNotFoundError as error:
        raise lacks("runtime=ray", "ray") from error
    return RayPool(config)


def _telemetry(config: RunConfig, fingerprint: str) -> list[Show]:
    """What a cluster's monitoring is told by; nobody asks a process of its own."""
    if config.runtime.name == "local":
        return []
    from mav_pipeline.runtime.ray.telemetry import Telemetry  # ray is an extra

    return [Telemetry(fingerprint).show]


def run_shards(
    pool: WorkerPool,
    tasks: Sequence[Task],
    output: Output,
    config: RunConfig,
    shows: Sequence[Show],
) -> int:
    """Does ``tasks`` with ``pool``; every one ends with a receipt or a failure record.

    Args:
        output: its ``stop`` ends the loop.
        shows: are told where the run stands, at least every ``_TICK_S``.

    Returns:
        Alpha frames in the shards that were published.

    Raises:
        OutageError: the output failed for too long, or refuses.
        Interrupted: ``stop`` was set.
    """
    frames = 0
    queue = ShardQueue(
        tasks,
        max_attempts=config.runtime.max_attempts,
        retry_wait_s=config.runtime.retry_wait_s,
    )
    tally, outage = Tally([task.spec for task in tasks], time.monotonic()), _Seen()
    while queue:
        if output.stop.is_set():
            raise Interrupted(STOPPED)
        outage.look(pool.state().totals.waits)
        while (
            not outage.seen
            and pool.has_room(queue.outstanding)
            and (task := queue.take(time.monotonic()))
        ):
            pool.submit(task)
        for outcome in pool.wait(_TICK_S):
            if isinstance(outcome.result, ShardReceipt):
                output.call(functools.partial(confirm, receipt=outcome.result))
                queue.published(outcome.task)
                frames += outcome.result.frames
                tally.published(outcome.result)
            else:
                _failed(outcome.task, outcome.result, queue, tally, output)
        building, waiting = queue.outstanding - len(queue), len(queue)
        view = tally.view(pool.state(), building=building, waiting=waiting, now=time.monotonic())
        for show in shows:
            show(view)
    return frames


@dataclass(slots=True)
class _Seen:
    """Whether workers wait for the output; said where it changes, as they cannot be heard."""

    seen: bool = False

    def look(self, waits: int) -> None:
        if bool(waits) != self.seen:
            self.seen = bool(waits)
            what = "do not reach the output and wait" if waits else "reach the output again"
            _log.warning("workers %s", what)


def _failed(
    task: Task, why: ShardError | Lost, queue: ShardQueue, tally: Tally, output: Output
) -> None:
    """A shard was not built: it comes again, or that is recorded. Raises OutageError."""
    now = time.monotonic()
    if isinstance(why, Lost):
        failure = queue.lost(task, why, now)
    else:
        _log.warning("%s attempt %d: %s", task.spec.name, task.attempt, why)
        if why.outage == "lasts":
            raise OutageError(why.cause)
        if why.outage == "passed":
            queue.again(task, now)
            failure = None
        else:
            failure = queue.failed(task, why, now)
    if failure is None:
        tally.again(task.spec.name, why.why if isinstance(why, Lost) else str(why))
    else:
        tally.failed(failure, len(task.spec.clips))
        _record(output.storage, failure)


def forget(built: BuiltSet, tasks: Sequence[Task]) -> None:
    """What another run gave up is pending now; a failed rebuild stays, as its shard is there."""
    failures = built.failures()
    for task in tasks:
        if task.spec.name in failures and not task.rebuild:
            forget_failure(built.storage, task.spec.name)


def _record(storage: Storage, failure: ShardFailure) -> None:
    try:
        record_failure(storage, failure)
    except OSError as error:  # the output failed altogether: what is not published is built again
        _log.error("%s: %s; that cannot be recorded: %s", failure.shard, failure.message, error)
