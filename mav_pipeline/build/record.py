"""What is known of a shard while it is built: its rows and counts so far, and then its receipt."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mav_pipeline.build.clip import ClipOutcome
from mav_pipeline.build.timing import StageTimes
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import Row
from mav_pipeline.planning.code import code_version
from mav_pipeline.schema import (
    CLIP_STATUSES,
    MASKLET_STATUSES,
    STAGES,
    DataFile,
    ShardReceipt,
    ShardSpec,
    Stamp,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Running totals of finished clips, for display; ``stages_s`` are busy seconds.

    ``waits`` are the requests that wait for the output now, ``memory`` the bytes that the process
    holds, of several the most.
    """

    clips: int = 0
    frames: int = 0
    failed: int = 0
    stages_s: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    waits: int = 0
    memory: int = 0

    def __add__(self, other: Progress) -> Progress:
        return Progress(
            self.clips + other.clips,
            self.frames + other.frames,
            self.failed + other.failed,
            {stage: self.stages_s[stage] + other.stages_s[stage] for stage in STAGES},
            self.waits + other.waits,
            max(self.memory, other.memory),
        )

    @classmethod
    def of(cls, receipt: ShardReceipt) -> Progress:
        """What a published shard adds."""
        clips, failed = receipt.clips["planned"], receipt.clips["failed"]
        return cls(clips, receipt.frames, failed, receipt.stages_s)


@dataclass(slots=True)
class ShardRecord:
    """The state of one build of a shard."""

    spec: ShardSpec
    stamp: Stamp
    times: StageTimes
    rows: list[Row] = field(default_factory=list)
    clips: Counter[str] = field(default_factory=Counter)
    frames: int = 0

    @property
    def done(self) -> int:
        """Clips so far."""
        return sum(self.clips[status] for status in CLIP_STATUSES)

    def take(self, outcome: ClipOutcome) -> None:
        """Adds what became of the next clip."""
        name = self.spec.clips[self.done].own
        self.rows += ({**row, "name": name} for row in outcome.rows)
        self.clips[outcome.status] += 1
        self.clips["samples"] += outcome.sample is not None
        self.frames += outcome.frames

    def receipt(
        self,
        tar: DataFile,
        manifest: DataFile,
        *,
        attempt: int,
        notes: tuple[str, ...],
    ) -> ShardReceipt:
        """The receipt of the finished shard, as of now and here."""
        statuses = Counter(row["status"] for row in self.rows if row.get("masklet") is not None)
        return ShardReceipt(
            shard=self.spec.name,
            format=self.stamp.format,
            fingerprint=self.stamp.fingerprint,
            tar=tar,
            manifest=manifest,
            clips={
                "planned": len(self.spec.clips),
                **{key: self.clips[key] for key in (*CLIP_STATUSES, "samples")},
            },
            masklets={key: statuses[key] for key in MASKLET_STATUSES},
            frames=self.frames,
            stages_s=self.times.seconds(),
            worker={"host": socket.gethostname(), "pid": os.getpid()},
            code_version=code_version(),
            attempts=attempt,
            reasons=dict(Counter(reason for row in self.rows for reason in row["reasons"])),
            notes=notes,
            published_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )


def held_memory() -> int:
    """Bytes that this process holds now, but for files that it maps; 0 where nobody says so."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def data_file(shard: str, suffix: str, sha256: str, size: int) -> DataFile:
    """A finished file of a shard, under the name that says its content."""
    return DataFile(layout.data_name(shard, sha256, suffix), size, sha256)
