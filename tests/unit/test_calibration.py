"""The calibration's halves never mix, its damages damage, and the shipped weights are its own."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from mav_pipeline.quality.rule import HALF, TERMS, estimated_error, load_weights, quality
from mav_pipeline.schema import SCORE_NAMES
from scripts.calibration import cases
from scripts.calibration.damages import FIT, JUDGE, Case
from scripts.calibration.fit import auc, fit
from scripts.calibration.judge import Judged

FITTED, JUDGED = cases.PLANS["fit"], cases.PLANS["judge"]
BEST = {**dict.fromkeys(SCORE_NAMES), "quality": None}


def test_no_clip_is_fitted_and_judged() -> None:
    assert not {*FITTED.seeds} & {*JUDGED.seeds}


def test_no_strength_is_fitted_and_judged_and_some_damages_are_unseen() -> None:
    for name in {*FIT} & {*JUDGE}:
        assert not {*FIT[name][1]} & {*JUDGE[name][1]}, name
    assert len({*JUDGE} - {*FIT}) >= 3
    assert {*JUDGED.masks} - {*FITTED.masks}


def test_a_case_of_the_judged_half_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(JUDGED, seeds=(9,), masks=("down8",))
    monkeypatch.setitem(cases.PLANS, "judge", short)
    monkeypatch.setattr(cases, "CLIPS", 1)
    monkeypatch.setattr(cases, "FRAMES", 8)
    judged = Judged(list(cases.rows("judge")), load_weights())
    results = dict(judged.masks())
    assert results["faithful"].rank > 0.5
    assert sum(result.count for _, result in judged.strata()) == 4 * len(judged.rows)
    assert {r.damage for r in judged.rows} == {*JUDGE, "none"}


def test_scores_never_see_the_truth() -> None:
    assert "truth" not in inspect.signature(cases.scores).parameters


def disc() -> Case:
    y, x = np.mgrid[:72, :96]
    alpha = np.stack([255 * (np.hypot(y - 36, x - 40 - t) < 16 + t % 3) for t in range(6)])
    alpha = alpha.astype(np.uint8)
    alpha[alpha > 0] = 230
    return Case(alpha, np.roll(alpha, 30, axis=2), 28.0, np.ones(6, np.bool_), 1)


@pytest.mark.parametrize("name", [*FIT, *sorted({*JUDGE} - {*FIT})])
def test_damages_change_the_matte_and_not_their_input(name: str) -> None:
    damage, strengths = (JUDGE | FIT)[name]
    case = disc()
    before = case.alpha.copy()
    for strength in strengths:
        spoilt = damage(case, strength)
        assert (spoilt.shape, spoilt.dtype) == (case.alpha.shape, np.uint8)
        assert cases.error(spoilt, before) > 0
        assert (damage(case, strength) == spoilt).all()
    assert (case.alpha == before).all()


def test_the_shipped_weights_are_one_a_term_and_not_negative() -> None:
    weights = load_weights()
    assert list(weights) == [term.name for term in TERMS]
    assert all(weight >= 0 for weight in weights.values())
    assert sum(weight > 0 for weight in weights.values()) >= 5


def test_quality_is_one_without_fault_and_falls_with_each_term() -> None:
    assert quality(BEST) == 1
    weights = load_weights()
    for term in TERMS:
        values = [term.start + term.sign * step for step in (0, 0.1, 0.3, 1e9)]
        found = [quality({**BEST, term.score: value}) for value in values]
        assert 1 == found[0] >= found[1] >= found[2] >= found[3] > 0
        worst = estimated_error({**BEST, term.score: values[-1]})
        assert worst == pytest.approx(weights[term.name] * term.cap)
        assert found[3] == pytest.approx(1 / (1 + worst / HALF))


def test_a_fit_finds_the_weights_that_made_the_errors() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(200):
        outside, core = rng.uniform(0, 0.2, 2)
        rows.append(
            cases.Row(
                clip="c",
                masklet="m",
                mask="faithful" if number % 2 else "blob.12",
                base="truth",
                damage="blur",
                strength=1.0,
                error=2 * outside + 0.5 * core,
                limit=0.1,
                scores={**BEST, "outside_mass": outside, "core_loss": core},
                groups={},
            )
        )
    weights = fit(rows)
    assert weights["outside_mass above 0"] == pytest.approx(2, rel=0.02)
    assert weights["core_loss above 0"] == pytest.approx(0.5, rel=0.05)


def test_auc_is_the_chance_to_order_a_pair() -> None:
    bad = np.array([True, False, True, False])
    assert auc(np.array([4.0, 1, 3, 2]), bad) == 1
    assert auc(np.array([1.0, 1, 1, 1]), bad) == 0.5
    assert auc(np.array([4.0, 1, 0, 2]), bad) == 0.5
    assert np.isnan(auc(np.ones(2), np.ones(2, np.bool_)))
