"""One shard, start to end, on one machine; knows nothing of Ray.

    load (thread, one clip ahead) -> matte (caller's thread) -> encode + score (lanes)
        -> tar + rows -> commit

Two builds may overlap in one ``ShardBuilder``: the second loads its first clip once the first has
no more to load, and mattes once the first has no more to matte, so the backend never waits at the
border of two shards.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mav_pipeline import __version__
from mav_pipeline.clip_job import ClipJob, ClipOutcome
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import Row, clip_row, encode_rows
from mav_pipeline.dataset.receipts import commit, read_receipt
from mav_pipeline.dataset.shards import ShardTar
from mav_pipeline.errors import (
    InputError,
    Interrupted,
    MavError,
    ShardError,
    TransientError,
)
from mav_pipeline.interfaces import MattingBackend, Source
from mav_pipeline.schema import (
    Clip,
    ClipRef,
    DataFile,
    Problem,
    ShardReceipt,
    ShardSpec,
)
from mav_pipeline.stages import StageTimes, stage_of
from mav_pipeline.storage import LocalStorage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loading:
    ref: ClipRef
    future: Future[Clip | Problem]


@dataclass(slots=True)
class Progress:
    """Running totals of a builder, for display only."""

    clips: int = 0
    frames: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Shard:
    """The state of one build: what has been gathered so far."""

    spec: ShardSpec
    times: StageTimes
    rows: list[Row] = field(default_factory=list)
    clips: Counter[str] = field(default_factory=Counter)
    frames: int = 0


class ShardBuilder:
    """Builds shards with one source and one backend, which it owns.

    Args:
        fingerprint: of the run; goes into every sample and receipt.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        source: Source,
        backend: MattingBackend,
        output: LocalStorage,
        fingerprint: str,
    ) -> None:
        self._config, self._source, self._backend, self._output = config, source, backend, output
        self._fingerprint = fingerprint
        self._rule = config.matting.size_rule(backend.multiple)
        self._loading, self._matting = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._progress = Progress()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="mav-load")
        self._clip_job = ClipJob(
            config=config, backend=backend, fingerprint=fingerprint, check=self._check
        )

    def setup(self) -> None:
        """Loads the backend. Raises SetupError."""
        self._backend.setup()

    def close(self) -> None:
        """Stops the threads and frees the backend."""
        self.stop()
        self._loader.shutdown(cancel_futures=True)
        self._clip_job.close()
        self._backend.close()

    def stop(self) -> None:
        """Makes running builds raise ``Interrupted`` at the next block of alpha."""
        self._stop.set()

    def progress(self) -> Progress:
        """Totals so far, of finished clips."""
        return replace(self._progress)

    def build(self, spec: ShardSpec, attempt: int = 1) -> ShardReceipt:
        """Builds and publishes a shard; returns its receipt, another builder's if that was first.

        Raises:
            ShardError: it could not be built; nothing of it was published.
            Interrupted: ``stop`` was called.
        """
        shard = _Shard(spec, StageTimes())
        tar_path, rows_path = (
            self._output.temporary(layout.data(f"{spec.name}.{suffix}"))
            for suffix in ("tar", "parquet")
        )
        try:
            with ShardTar(tar_path) as tar, contextlib.closing(self._clips(shard)) as outcomes:
                for outcome in outcomes:
                    self._take(shard, outcome, tar)
            with shard.times.stage("publish"):
                return self._publish(shard, tar, tar_path, rows_path, attempt)
        except Interrupted:
            raise
        except Exception as error:
            _log.debug("%s failed", spec.name, exc_info=True)
            may_pass = isinstance(error, OSError | MemoryError | RuntimeError | TransientError)
            stage = stage_of(error) or "matting"
            raise ShardError(stage, type(error).__name__, str(error), may_pass) from error
        finally:
            for path in (tar_path, rows_path):
                path.unlink(missing_ok=True)

    def _clips(self, shard: _Shard) -> Generator[ClipOutcome]:
        """Outcomes in plan order: one clip loads and one finishes while one is matted."""
        refs = shard.spec.clips
        finishing: deque[Callable[[], ClipOutcome]] = deque()
        with contextlib.ExitStack() as loading, contextlib.ExitStack() as matting:
            loading.enter_context(self._loading)
            ahead = self._load(shard, refs[0])
            matting.enter_context(self._matting)
            for number in range(len(refs)):
                now, ahead = ahead, self._load(shard, *refs[number + 1 : number + 2])
                if number + 1 == len(refs):
                    loading.close()
                assert now is not None
                clip = now.future.result()
                finishing.append(
                    functools.partial(
                        ClipOutcome,
                        clip.status,
                        [clip_row(now.ref.video_id, shard.spec.name, clip)],
                    )
                    if isinstance(clip, Problem)
                    else self._clip_job.matte(shard.spec.name, clip, shard.times)
                )
                if len(finishing) > 1:
                    yield finishing.popleft()()
            matting.close()
            while finishing:
                yield finishing.popleft()()

    def _load(self, shard: _Shard, ref: ClipRef | None = None) -> _Loading | None:
        if ref is None:
            return None
        self._check()
        return _Loading(ref, self._loader.submit(self._loaded, shard, ref))

    def _loaded(self, shard: _Shard, ref: ClipRef) -> Clip | Problem:
        if ref.problem is not None:
            return ref.problem
        try:
            self._check()
            with shard.times.stage("decode"):
                clip = self._source.load(ref, self._rule)
            if not clip.masklets:
                return Problem("skipped", "no_masklets", "masks of the clip: there is no object")
            return clip
        except InputError as error:
            return Problem(error.status, error.reason, str(error))
        except (OSError, MemoryError, MavError):
            raise
        except Exception as error:  # noqa: BLE001 whatever a library makes of strange input is a row
            _log.exception("clip %s: unexpected error while it was read", ref.video_id)
            cause = f"decode of video: {type(error).__name__}: {error}"
            return Problem("failed", "unexpected", cause)

    def _take(self, shard: _Shard, outcome: ClipOutcome, tar: ShardTar) -> None:
        if outcome.sample is not None:
            with shard.times.stage("encode"):
                tar.add(outcome.sample)
        shard.rows += outcome.rows
        shard.clips[outcome.status] += 1
        shard.clips["samples"] += outcome.sample is not None
        shard.frames += outcome.frames
        self._progress.clips += 1
        self._progress.frames += outcome.frames
        self._progress.failed += outcome.status == "failed"

    def _publish(
        self, shard: _Shard, tar: ShardTar, tar_path: Path, rows_path: Path, attempt: int
    ) -> ShardReceipt:
        name = shard.spec.name
        rows = encode_rows(shard.rows)
        rows_path.write_bytes(rows)
        rows_hash = hashlib.sha256(rows).hexdigest()
        statuses = Counter(row["status"] for row in shard.rows if row.get("masklet") is not None)
        receipt = ShardReceipt(
            shard=name,
            fingerprint=self._fingerprint,
            tar=DataFile(layout.data_name(name, tar.sha256, "tar"), tar.bytes, tar.sha256),
            manifest=DataFile(layout.data_name(name, rows_hash, "parquet"), len(rows), rows_hash),
            clips={
                "planned": len(shard.spec.clips),
                **{key: shard.clips[key] for key in ("published", "failed", "skipped", "samples")},
            },
            masklets={key: statuses[key] for key in ("accepted", "rejected", "skipped", "failed")},
            frames=shard.frames,
            stages_s=shard.times.seconds(),
            worker={"host": socket.gethostname(), "pid": os.getpid()},
            code_version=__version__,
            attempts=attempt,
            notes=self._backend.notes(),
            published_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        if commit(self._output, receipt, tar_path, rows_path):
            return receipt
        _log.warning("%s was published by another builder meanwhile", name)
        return read_receipt(self._output, name) or receipt

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted("asked to stop")
