"""A worker as the pool sees it: what stays of it once it is gone."""

from __future__ import annotations

from mav_pipeline.build.record import Progress
from mav_pipeline.runtime.ray.handle import WorkerHandle
from mav_pipeline.schema import STAGES
from tests.fakes import receipt


def test_clips_of_a_shard_in_flight_go_with_the_worker_and_frames_stay() -> None:
    handle = WorkerHandle(actor=None, starting=None)
    handle.progress = Progress(5, 40, 2, dict.fromkeys(STAGES, 1.0))
    counts = {"planned": 3, "published": 2, "failed": 1, "skipped": 0, "samples": 2}
    handle.published += Progress.of(receipt(clips=counts, frames=20))
    assert handle.left() == Progress(3, 40, 1, dict.fromkeys(STAGES, 1.0))
