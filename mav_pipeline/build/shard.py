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

from mav_pipeline.build.clip import ClipJob, ClipOutcome, MattedClip
from mav_pipeline.build.loading import ClipLoader, Loading
from mav_pipeline.build.record import Progress, ShardRecord, data_file
from mav_pipeline.build.timing import StageTimes, stage_of
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import clip_row, encode_rows
from mav_pipeline.dataset.receipts import commit, decode_receipt, read_receipt
from mav_pipeline.dataset.shard_tar import ShardTar
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
    ShardError,
    TransientError,
)
from mav_pipeline.schema.interfaces import MattingBackend, Source
from mav_pipeline.schema.reasons import Reason
from mav_pipeline.storage import Storage

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
        output: Storage,
        reasons: Sequence[Reason] = (),
        packages: Sequence[str] = (),
    ) -> None:
        self._config, self._backend, self._output = config, backend, output
        self._packages = packages
        self._loading, self._matting = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
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
        self._stop.set()

    def progress(self) -> Progress:
        """Totals so far: clips that are done, seconds of those under way too.

        A shard that fails takes its clips back, for they will be done again.
        """
        return replace(self._progress, stages_s=self._times.seconds())

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
        try:
            held = self._held(name)
            if held is not None and not rebuild:
                return decode_receipt(name, held)
            tar_path = self._output.temporary(layout.data(f"{name}.tar"))
            rows_path = self._output.temporary(layout.data(f"{name}.parquet"))
            for path in (tar_path, rows_path):
                temporaries.callback(path.unlink, missing_ok=True)
            with ShardTar(tar_path) as tar, contextlib.closing(clips(shard)) as outcomes:
                for clip in shard.spec.clips:
                    yield clip.video_id
                    self._take(shard, next(outcomes), tar)
            yield None
            with shard.times.stage("publish"):
                return self._publish(shard, tar, (tar_path, rows_path), attempt, held)
        except Interrupted:
            raise
        except Exception as error:
            self._count(Progress(-shard.done, 0, -shard.clips["failed"]))
            _log.debug("%s failed", name, exc_info=True)
            may_pass = isinstance(error, OSError | MemoryError | RuntimeError | TransientError)
            stage = stage_of(error) or "matting"
            raise ShardError(stage, type(error).__name__, str(error), may_pass) from error
        finally:
            with contextlib.suppress(OSError):  # a disk that failed; verify names what stays
                temporaries.close()

    def _held(self, name: str) -> bytes | None:
        try:
            return self._output.read(layout.receipt(name))
        except FileNotFoundError:
            return None

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

    def _publish(
        self,
        shard: ShardRecord,
        tar: ShardTar,
        paths: tuple[Path, Path],
        attempt: int,
        replaces: bytes | None,
    ) -> ShardReceipt:
        rows = encode_rows(shard.rows, shard.stamp.format)
        paths[1].write_bytes(rows)
        receipt = shard.receipt(
            data_file(shard.spec.name, "tar", tar.sha256, tar.bytes),
            data_file(shard.spec.name, "parquet", hashlib.sha256(rows).hexdigest(), len(rows)),
            attempt=attempt,
            notes=self._backend.notes(),
        )
        if commit(self._output, receipt, *paths, replaces=replaces):
            return receipt
        _log.warning("%s was published by another builder meanwhile", receipt.shard)
        return read_receipt(self._output, receipt.shard) or receipt

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted("asked to stop")
