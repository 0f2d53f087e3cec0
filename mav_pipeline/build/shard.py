"""One shard, start to end, on one machine; knows nothing of Ray.

    load (thread, one clip ahead) -> matte (caller's thread) -> encode + score (threads)
        -> tar + rows -> commit

Two builds may overlap in one ``ShardBuilder``: the second loads its first clip once the first has
no more to load, and mattes once the first has no more to matte, so the backend never waits at the
border of two shards.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from mav_pipeline.build.clip import ClipJob, ClipOutcome, MattedClip
from mav_pipeline.build.kept import KeptShard
from mav_pipeline.build.loading import ClipLoader, Loading
from mav_pipeline.build.publisher import Publisher
from mav_pipeline.build.record import Progress, ShardRecord, data_file, held_memory
from mav_pipeline.build.timing import StageTimes, stage_of
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import clip_row, encode_rows
from mav_pipeline.dataset.receipts import decode_receipt
from mav_pipeline.dataset.shard_tar import ShardTar, writing
from mav_pipeline.planning.code import versions
from mav_pipeline.schema import (
    BackendFacts,
    Problem,
    ShardReceipt,
    ShardSpec,
    Stamp,
)
from mav_pipeline.schema.errors import (
    Interrupted,
    OutageError,
    ShardError,
    TransientError,
    WriteError,
)
from mav_pipeline.schema.interfaces import MattingBackend, Source
from mav_pipeline.schema.reasons import Reason
from mav_pipeline.storage import Output

_log = logging.getLogger(__name__)


class ShardBuilder:
    """Builds shards with one source and one backend, which it owns.

    Args:
        reasons: slugs of the source's and the backend's own.
        packages: that the backend computes with; their versions are told.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        source: Source,
        backend: MattingBackend,
        output: Output,
        reasons: Sequence[Reason] = (),
        packages: Sequence[str] = (),
    ) -> None:
        self._config, self._backend, self._output = config, backend, output
        self._publisher = Publisher(output)
        self._packages = packages
        self._loading, self._matting = threading.Lock(), threading.Lock()
        self._progress, self._counting = Progress(), threading.Lock()
        self._times = StageTimes()
        rule = config.matting.size_rule(backend.multiple)
        self._loader = ClipLoader(source, rule, reasons, self._check)
        self._clip_job = ClipJob(config=config, backend=backend, reasons=reasons, check=self._check)

    def setup(self) -> BackendFacts:
        """Loads the backend and tells what came of it. Raises SetupError."""
        weights = self._backend.identity()
        self._backend.setup()
        return BackendFacts(self._backend.settings(), weights, versions(self._packages))

    def close(self) -> None:
        """Stops the threads and frees the backend."""
        self.stop()
        self._loader.close()
        self._clip_job.close()
        self._backend.close()

    def stop(self) -> None:
        """Makes running builds raise ``Interrupted`` at the next block of alpha."""
        self._output.stop.set()

    def progress(self) -> Progress:
        """Totals so far: clips that are done, seconds of those under way too.

        A shard that fails takes its clips back, for they will be done again.
        """
        return replace(
            self._progress,
            stages_s=self._times.seconds(),
            waits=self._output.waiting,
            memory=held_memory(),
        )

    def build(
        self, spec: ShardSpec, stamp: Stamp, attempt: int = 1, *, rebuild: bool = False
    ) -> ShardReceipt:
        """Builds and publishes a shard; returns its receipt, another builder's if that was first.

        Args:
            stamp: of the set; stands in every sample and in the receipt.
            attempt: counts from 1; stands in the receipt.
            rebuild: replaces the shard if it is published already.

        Raises:
            ShardError: it could not be built; nothing of it was published.
            Interrupted: ``stop`` was called.
        """
        steps = self._steps(self._record(spec, stamp), self._clips, attempt, rebuild)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def steps(
        self, spec: ShardSpec, stamp: Stamp, attempt: int, *, rebuild: bool
    ) -> Generator[str | None, None, ShardReceipt]:
        """Builds a shard as ``build`` does, one clip at a time.

        Yields:
            The id of each clip before it is read; None before the shard is published.
        """
        return self._steps(self._record(spec, stamp), self._one_by_one, attempt, rebuild)

    def _record(self, spec: ShardSpec, stamp: Stamp) -> ShardRecord:
        return ShardRecord(spec, stamp, StageTimes(self._times))

    def _steps(
        self,
        shard: ShardRecord,
        clips: Callable[[ShardRecord], Generator[ClipOutcome]],
        attempt: int,
        rebuild: bool,
    ) -> Generator[str | None, None, ShardReceipt]:
        name, temporaries = shard.spec.name, contextlib.ExitStack()
        kept = KeptShard(shard.spec, shard.stamp)
        try:
            held = self._publisher.held(name)
            if held is not None and not rebuild:
                kept.drop()
                return decode_receipt(name, held)
            if (found := kept.find()) is not None:
                yield None
                return self._publisher.publish_kept(
                    found, kept=kept, attempt=attempt, replaces=held
                )
            paths = [self._temporary(name, kind, temporaries) for kind in ("tar", "parquet")]
            with ShardTar(paths[0]) as tar, contextlib.closing(clips(shard)) as outcomes:
                for clip in shard.spec.clips:
                    yield clip.video_id
                    self._take(shard, next(outcomes), tar)
            yield None
            with shard.times.stage("publish"):
                receipt = self._receipt(shard, tar, paths[1], attempt)
                return self._publisher.publish(receipt, *paths, kept=kept, replaces=held)
        except Interrupted:
            raise
        except Exception as error:
            self._count(Progress(-shard.done, 0, -shard.clips["failed"]))
            _log.debug("%s failed", name, exc_info=True)
            _close(temporaries)  # they may be what fills the disk
            raise self._failure(error) from error
        finally:
            _close(temporaries)

    def _temporary(self, shard: str, kind: str, temporaries: contextlib.ExitStack) -> Path:
        name = layout.data(f"{shard}.{kind}")
        try:
            path = self._output.storage.temporary(name)
        except OSError as error:
            raise WriteError(error.errno, f"no temporary file for {name}: {error}") from error
        temporaries.callback(path.unlink, missing_ok=True)
        return path

    def _failure(self, error: Exception) -> ShardError:
        """Whose fault it is; waits until an outage of the output is over."""
        outage: Literal["none", "passed", "lasts"] = "none"
        if isinstance(error, WriteError):
            try:
                outage = "passed" if self._publisher.was_out() else "none"
            except OutageError as lasting:
                error = lasting
        if isinstance(error, OutageError):
            outage = "lasts"
        may_pass = isinstance(error, OSError | MemoryError | RuntimeError | TransientError)
        stage = stage_of(error) or "matting"
        return ShardError(stage, type(error).__name__, str(error), may_pass, outage)

    def _one_by_one(self, shard: ShardRecord) -> Generator[ClipOutcome]:
        """Outcomes in plan order; no two clips are in the process at once."""
        with self._loading, self._matting:
            for ref in shard.spec.clips:
                with contextlib.closing(self._loader.load(ref, shard.times)) as now:
                    outcome = self._begun(shard, now).result()
                yield outcome

    def _clips(self, shard: ShardRecord) -> Generator[ClipOutcome]:
        """Outcomes in plan order: one clip loads and one finishes while one is matted."""
        refs = deque(shard.spec.clips)
        finishing: deque[MattedClip | ClipOutcome] = deque()
        with contextlib.ExitStack() as loading, contextlib.ExitStack() as matting:
            loading.enter_context(self._loading)
            ahead = self._loader.load(refs.popleft(), shard.times)
            try:
                matting.enter_context(self._matting)
                while True:
                    with contextlib.closing(ahead) as now:
                        if refs:
                            ahead = self._loader.load(refs.popleft(), shard.times)
                        else:
                            loading.close()
                        finishing.append(self._begun(shard, now))
                    if len(finishing) > 1:
                        yield finishing.popleft().result()
                    if ahead is now:
                        break
            finally:
                ahead.close()
            matting.close()
            while finishing:
                yield finishing.popleft().result()

    def _begun(self, shard: ShardRecord, loading: Loading) -> MattedClip | ClipOutcome:
        """Mattes a clip when it is loaded; its ``result`` waits for the rest."""
        loaded = loading.result()
        if isinstance(loaded, Problem):
            row = clip_row(loading.ref.video_id, shard.spec.name, loaded)
            return ClipOutcome(loaded.status, [row])
        return self._clip_job.matte(shard.spec.name, loaded, shard.times, shard.stamp)

    def _take(self, shard: ShardRecord, outcome: ClipOutcome, tar: ShardTar) -> None:
        if outcome.sample is not None:
            with shard.times.stage("encode"):
                tar.add(outcome.sample)
        shard.take(outcome)
        self._count(Progress(1, outcome.frames, outcome.status == "failed"))

    def _count(self, more: Progress) -> None:
        with self._counting:
            self._progress += more

    def _receipt(self, shard: ShardRecord, tar: ShardTar, path: Path, attempt: int) -> ShardReceipt:
        """Of a finished shard, whose rows are written to ``path`` now."""
        rows = encode_rows(shard.rows, shard.stamp.format)
        with writing(path):
            path.write_bytes(rows)
        return shard.receipt(
            data_file(shard.spec.name, "tar", tar.sha256, tar.bytes),
            data_file(shard.spec.name, "parquet", hashlib.sha256(rows).hexdigest(), len(rows)),
            attempt=attempt,
            notes=self._backend.notes(),
        )

    def _check(self) -> None:
        if self._output.stop.is_set():
            raise Interrupted("asked to stop")
        self._output.hold()


def _close(temporaries: contextlib.ExitStack) -> None:
    with contextlib.suppress(OSError):  # a disk that failed; verify names what stays
        temporaries.close()
