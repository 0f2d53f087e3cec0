"""Gates that are on by default: where their limit holds, and where they are off."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from mav_pipeline.config import BOUNDS, Bound, Fitted, QualityConfig
from mav_pipeline.dataset.regate import regate
from mav_pipeline.quality import judge
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.scores import SCORE_NAMES, SCORER_REVISION
from tests.fakes import config, listed_set

NOTHING = dict.fromkeys(SCORE_NAMES)


def gates(**values: object) -> QualityConfig:
    return config({f"quality.{key}": value for key, value in values.items()}).quality


def reasons(group: QualityConfig, /, **scores: float) -> tuple[str, ...]:
    return judge({**NOTHING, **scores}, group).reasons


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> Bound:
    """A limit for quality, as a fit of this revision's scores would give it."""
    bound = next(bound for bound in BOUNDS if bound.key == "min_quality")
    found = replace(bound, fitted=Fitted(limit=0.25, revision=SCORER_REVISION))
    bounds = tuple(found if one is bound else one for one in BOUNDS)
    for module in ("config.output", "quality.gates", "dataset.regate"):
        monkeypatch.setattr(f"mav_pipeline.{module}.BOUNDS", bounds)
    return found


def test_every_automatic_limit_was_fitted_to_the_scores_of_this_version() -> None:
    """Who raises the revision fits anew, or takes the limit away."""
    revisions = {bound.key: bound.fitted.revision for bound in BOUNDS if bound.fitted}
    assert revisions == dict.fromkeys(revisions, SCORER_REVISION)


def test_an_automatic_gate_stops_what_its_fitted_limit_stops(fitted: Bound) -> None:
    assert reasons(gates(), quality=0.2, lost_share=0.2) == ("lost_frames", "quality")
    assert reasons(gates(), quality=0.3, lost_share=0.05) == ()
    assert reasons(gates()) == ()  # without scores there is nothing to stop
    assert fitted.fitted is not None
    assert gates().resolved().min_quality == fitted.fitted.limit


def test_what_is_named_goes_before_what_was_fitted(fitted: Bound) -> None:
    assert reasons(gates(min_quality=None), quality=0.0) == ()
    assert reasons(gates(min_quality=0.5), quality=0.4) == ("quality",)


def test_with_basic_scores_it_is_off_and_what_is_named_is_an_error(fitted: Bound) -> None:
    basic = gates(scores="basic")
    assert (basic.resolved().min_quality, basic.resolved().max_lost_share) == (None, None)
    assert basic.resolved().max_outside_mass == gates().max_outside_mass
    for key in ("min_quality", "max_lost_share"):
        with pytest.raises(ConfigError, match=rf"quality\.{key} must be null with .*basic, not"):
            gates(scores="basic", **{key: 0.25})


def test_a_gate_without_a_fitted_limit_is_off() -> None:
    bound = Bound(key="min_quality", score="quality", reason="quality")
    assert bound.automatic("full", SCORER_REVISION) is None


def test_a_word_that_is_none_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"quality\.min_quality must be .*auto or null, not 'best'"
    ):
        gates(min_quality="best")


def test_scores_of_another_revision_are_not_held_to_it(
    tmp_path: Path,
    fitted: Bound,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("mav_pipeline.dataset.regate.is_indexed", lambda _: True)
    monkeypatch.setattr("mav_pipeline.dataset.regate.write_gate", lambda _, gate: gate.name)
    row = {
        "key": "clip", "video_id": "clip", "masklet": "manual_000", "shard": "mav-000000",
        "status": "accepted", "reasons": [], "quality": 0.1,
    }  # fmt: skip
    built = listed_set(tmp_path, [row])
    built.run["keys"]["revision.scores"] = SCORER_REVISION - 1  # type: ignore[index]
    with caplog.at_level(logging.WARNING):
        assert regate(built, "auto", gates()).masklets["accepted"] == 1
    assert "quality.min_quality=auto is off" in caplog.text
    assert regate(built, "named", gates(min_quality=0.25)).masklets["rejected"] == 1
    built.run["keys"]["revision.scores"] = SCORER_REVISION  # type: ignore[index]
    assert regate(built, "auto", gates()).masklets["rejected"] == 1
