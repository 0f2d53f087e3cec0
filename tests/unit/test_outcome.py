"""How a build ends: what is short of good enough is said in words that lead on."""

from __future__ import annotations

from typing import Any

import pytest

from mav_pipeline.runtime.outcome import has_no_sample, over_budget, shortcoming
from mav_pipeline.schema import MASKLET_STATUSES, RunReport
from mav_pipeline.schema.passed_over import PassedOver
from tests.fakes import config


def report(
    clips: dict[str, int],
    masklets: dict[str, int] | None = None,
    reasons: dict[str, int] | None = None,
    **changes: Any,
) -> RunReport:
    counts = {"planned": 100, "published": 0, "failed": 0, "skipped": 0, "pending": 0, **clips}
    found = {**dict.fromkeys(MASKLET_STATUSES, 0), **(masklets or {})}
    values = {"state": "complete", "shards": {}, "frames": 0, "wall_s": 0.0, "frames_per_s": 0.0}
    about = {**values, "stages_s": {}, "reasons": reasons or {}, **changes}
    return RunReport(clips=counts, masklets=found, **about)


@pytest.mark.parametrize(
    ("failed", "fraction", "over"),
    [(0, 0.0, False), (1, 0.0, True), (5, 0.05, False), (6, 0.05, True), (100, 1.0, False)],
)
def test_the_loss_budget_is_a_share_of_the_planned_clips(
    failed: int, fraction: float, over: bool
) -> None:
    found = report({"failed": failed}, {"accepted": 1})
    run = config({"quality.max_failed_fraction": fraction})
    assert over_budget(found, run) is over
    assert (shortcoming(found, run) is not None) is over


@pytest.mark.parametrize(
    ("planned", "masklets", "keep", "none"),
    [
        (2, {"accepted": 1}, False, False),
        (2, {"rejected": 9, "failed": 1}, False, True),
        (2, {"rejected": 9}, True, False),
        (2, {"skipped": 1}, True, True),
        (0, {}, False, False),
    ],
)
def test_a_sample_is_made_of_what_is_stored(
    planned: int, masklets: dict[str, int], keep: bool, none: bool
) -> None:
    found = report({"planned": planned}, masklets)
    assert has_no_sample(found, config({"quality.keep_rejected": keep})) is none


def test_no_sample_is_said_with_what_became_of_clips_the_reasons_and_the_ways_out() -> None:
    reasons = {"corrupt": 70, "solver_fallback": 50, "no_annotation": 30, "core_loss": 4, "late": 1}
    clips, masklets = {"published": 2, "failed": 68, "skipped": 30}, {"rejected": 4, "failed": 2}
    run = config({"output.root": "s3://bucket/set", "quality.max_failed_fraction": 1.0})
    passed = PassedOver({"packed": 1}, {"packed": ("sav_001.tar.gz",)})
    said = shortcoming(report(clips, masklets, reasons, passed_over=passed), run)
    assert said == (
        "not one sample came out of 100 clips\n"
        "  clips: 2 published, 68 failed, 30 skipped; masklets: 4 rejected, 2 failed\n"
        "  70 x corrupt: a video or an image cannot be decoded; way out: repair or replace the "
        "file, then resume.rebuild=failed_clips\n"
        "  30 x no_annotation: the masks asked for are not there; way out: source.masklets=...\n"
        "  4 x core_loss: holes inside the mask; way out: quality.max_core_loss\n"
        "  1 x late\n"
        "  files passed over: 1 packed (sav_001.tar.gz)\n"
        "  manifest.parquet in s3://bucket/set says it of each; `mav report` shows it"
    )


def test_the_most_frequent_reasons_are_named() -> None:
    said = shortcoming(report({"failed": 21}, reasons={f"r{n}": 9 - n for n in range(6)}), config())
    assert said is not None
    assert "5 x r4" in said
    assert "r5" not in said
    assert "masklets: none" in said


def test_failed_shards_come_before_all_else() -> None:
    said = shortcoming(report({"pending": 100}, state="incomplete"), config())
    assert said is not None
    assert said.startswith("some shards failed: see failures/ in ")
