"""A set as it lies in its output: run, plan, receipts, rows; and where the build of it stands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.columns import schema
from mav_pipeline.dataset.manifest import SCHEMA, decode_rows
from mav_pipeline.dataset.plan_file import from_table
from mav_pipeline.dataset.receipts import decode_receipt, receipt_entries
from mav_pipeline.media.parquet import decode_table
from mav_pipeline.schema import (
    CLIP_STATUSES,
    MASKLET_STATUSES,
    STAGES,
    Plan,
    RunReport,
    ShardFailure,
    ShardReceipt,
    ShardSpec,
)
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.schema.version import check_format, format_of
from mav_pipeline.storage import Entry, Storage, read_many


@dataclass(frozen=True, slots=True)
class BuiltSet:
    """An output folder with its plan.

    Attributes:
        run: the parsed ``run.json``.
        plan: which clips in which shards.
    """

    storage: Storage
    run: Mapping[str, Any]
    plan: Plan
    #: Receipts that were read, with the entries they were listed as.
    _read: dict[Entry, ShardReceipt] = field(default_factory=dict, repr=False, compare=False)

    @property
    def format(self) -> int:
        """Of the files; see ``schema.version``."""
        return format_of(self.run)

    @property
    def columns(self) -> list[str]:
        """Of its rows, as the version that began it has them."""
        return list(self.run.get("columns", schema(self.format).names))

    @property
    def keep_rejected(self) -> bool:
        """Whether the shards hold rejected mattes too."""
        return bool(self.run["config"]["quality"]["keep_rejected"])

    @property
    def shards(self) -> Sequence[ShardSpec]:
        """The planned ones."""
        return self.plan.shards

    @classmethod
    def open(cls, storage: Storage) -> BuiltSet:
        """Raises OutputError where there is no build, or it cannot be read."""
        run = read_run(storage)
        if run is None:
            raise OutputError(f"output.root={storage} holds no build: it has no {layout.RUN}")
        try:
            return cls(storage, run, read_plan(storage.read(layout.PLAN)))
        except FileNotFoundError as error:
            cause = f"output.root={storage} has no {layout.PLAN}"
            raise OutputError(f"{cause}; `mav build` writes it") from error

    def receipts(self) -> dict[str, ShardReceipt]:
        """The published shards, in order; reads only what has changed since the last call.

        Raises:
            OutputError: a receipt cannot be read.
        """
        planned = {shard.name for shard in self.shards}
        found = {s: entry for s, entry in receipt_entries(self.storage).items() if s in planned}
        unread = {s: entry for s, entry in found.items() if entry not in self._read}
        files = read_many(self.storage, map(layout.receipt, unread))
        try:
            for (shard, entry), data in zip(unread.items(), files, strict=True):
                self._read[entry] = decode_receipt(shard, data)
            return {shard: self._read[entry] for shard, entry in found.items()}
        except FileNotFoundError as error:
            raise OutputError(f"a receipt vanished while it was read: {error}") from error
        except ValueError as error:
            raise OutputError(
                f"{error}; remove it, and `mav build` builds the shard anew"
            ) from error

    def failures(self) -> dict[str, ShardFailure]:
        """The last errors of shards that could not be published or rebuilt, in order."""
        planned = {layout.failure(shard.name): shard.name for shard in self.shards}
        found = {}
        try:
            paths = [e.name for e in self.storage.entries(layout.FAILURES) if e.name in planned]
            for path, data in zip(paths, read_many(self.storage, paths), strict=True):
                found[planned[path]] = ShardFailure(**json.loads(data))
        except FileNotFoundError:  # none, or one that was published just now
            return found
        except (TypeError, ValueError) as error:
            raise OutputError(
                f"{layout.FAILURES}/ in {self.storage} cannot be read: {error}"
            ) from error
        return found

    def failed_clips(self) -> dict[str, set[str]]:
        """Ids of the clips with failed rows, by the published shard that holds them."""
        found = {}
        for shard, receipt in self.receipts().items():
            if receipt.clips["failed"] or receipt.masklets["failed"]:
                rows = self._rows_of(receipt).to_pylist()
                found[shard] = {row["video_id"] for row in rows if row["status"] == "failed"}
        return found

    def rows(self) -> pa.Table:
        """All manifest rows of the published shards.

        Raises:
            OutputError: a manifest that a receipt names is missing or broken.
        """
        with ThreadPoolExecutor(self.storage.parallel, thread_name_prefix="mav-read") as pool:
            tables = [*pool.map(self._rows_of, self.receipts().values())]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table()

    def _rows_of(self, receipt: ShardReceipt) -> pa.Table:
        try:
            return decode_rows(self.storage.read(layout.data(receipt.manifest.name)))
        except (FileNotFoundError, ValueError) as error:
            cause = f"{receipt.manifest.name} in {self.storage}: {error}"
            raise OutputError(f"{cause}; `mav verify` says what else is wrong") from error

    def report(self, wall_s: float | None = None, built_frames: int = 0) -> RunReport:
        """Where the build stands.

        Args:
            wall_s: duration of this run; None takes the time from the first receipt to the last,
                and the frames made in it.
            built_frames: alpha frames made in this run.
        """
        receipts = self.receipts()
        failures = self.failures()
        failed = sum(name not in receipts for name in failures)
        clips = {key: sum(r.clips[key] for r in receipts.values()) for key in CLIP_STATUSES}
        planned = sum(len(shard.clips) for shard in self.shards)
        frames = sum(receipt.frames for receipt in receipts.values())
        if wall_s is None:
            wall_s, built_frames = _span(list(receipts.values()))
        done = len(receipts) == len(self.shards) and not failures  # a rebuild may have failed too
        reasons = sum((Counter(r.reasons) for r in receipts.values()), Counter[str]())
        return RunReport(
            state="complete" if done else "incomplete",
            shards={
                "planned": len(self.shards),
                "published": len(receipts),
                "failed": failed,
                "pending": len(self.shards) - len(receipts) - failed,
            },
            clips={"planned": planned, **clips, "pending": planned - sum(clips.values())},
            masklets={k: sum(r.masklets[k] for r in receipts.values()) for k in MASKLET_STATUSES},
            frames=frames,
            wall_s=round(wall_s, 3),
            frames_per_s=round(built_frames / wall_s, 3) if wall_s > 0 else 0.0,
            stages_s={
                stage: round(sum(r.stages_s[stage] for r in receipts.values()), 3)
                for stage in STAGES
            },
            reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            passed_over=recorded(self.run),
        )


def read_plan(data: bytes) -> Plan:
    """The plan in a ``plan.parquet``. Raises OutputError where it is none."""
    try:
        return from_table(decode_table(data))
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise OutputError(f"{layout.PLAN} cannot be read: {error!r}") from error


def read_run(storage: Storage) -> dict[str, Any] | None:
    """``run.json``, or None where there is none. Raises OutputError where it cannot be read."""
    try:
        run = json.loads(storage.read(layout.RUN))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise OutputError(f"output.root={storage} is a file; name a folder") from error
    except OSError as error:
        raise OutputError(f"output.root={storage} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{layout.RUN} in {storage} is no json: {error}") from error
    if not isinstance(run, dict) or "fingerprint" not in run:
        raise OutputError(f"{layout.RUN} in {storage} is not that of a set: it has no fingerprint")
    try:
        check_format(run, f"the set in {storage}")
    except ValueError as error:
        raise OutputError(str(error)) from error
    return run


def recorded(run: Mapping[str, Any]) -> PassedOver:
    """What the source passed over, as ``run.json`` has it; nothing where it does not say.

    Raises:
        OutputError: it says something else.
    """
    try:
        return PassedOver.from_json(run.get("source", {}).get("passed_over", {}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"source.passed_over of {layout.RUN} cannot be read: {error!r}"
        ) from error


def _span(receipts: Sequence[ShardReceipt]) -> tuple[float, int]:
    """Seconds from the first receipt to the last, and the alpha frames made in them."""
    if not receipts:
        return 0.0, 0
    times = [datetime.fromisoformat(receipt.published_at) for receipt in receipts]
    first = times.index(min(times))
    frames = sum(receipt.frames for receipt in receipts) - receipts[first].frames
    return (max(times) - min(times)).total_seconds(), frames
