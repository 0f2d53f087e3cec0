"""The calibration keeps apart what it says, goes on where it stopped, and counts rightly."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mav_pipeline.quality.expected import shipped
from mav_pipeline.quality.rule import (
    TERMS,
    estimated_error,
    load_weights,
    quality,
    quality_of,
)
from mav_pipeline.schema import SCORE_NAMES, Clip, LoadedClip, Masklet, WorkingSize
from scripts.calibration import cases, network, subjects
from scripts.calibration import rows as stored
from scripts.calibration.cases import Row
from scripts.calibration.damages import FIT, JUDGE, Case
from scripts.calibration.fit import fit, fitted_rows, left_out
from scripts.calibration.gate import best_gate, by_source
from scripts.calibration.judge import Judged, auc, estimated
from scripts.calibration.mistakes import typical, worst
from scripts.calibration.network import train
from scripts.calibration.networks import scored
from scripts.calibration.points import Points, load, points_of, save
from scripts.calibration.sources import Source, sources
from scripts.calibration.subjects import Subject, cut_out, nearer

BEST = {**dict.fromkeys(SCORE_NAMES), "quality": None}


def a_row(**changes: object) -> Row:
    plain = {
        "source": "soft",
        "unit": "1 x4",
        "subject": "a",
        "mask": "faithful",
        "base": "truth",
        "damage": "none",
        "strength": 0.0,
        "error": 0.0,
        "scores": BEST,
    }
    return Row(**(plain | changes))  # type: ignore[arg-type]


def test_whole_damages_are_kept_for_judging_and_slight_ones_are_there() -> None:
    assert not {*FIT} & {*JUDGE}
    assert len(FIT) >= 20
    assert len(JUDGE) >= 8


def test_real_sources_are_judged_and_never_fitted(tmp_path: Path) -> None:
    alone = sources(tmp_path)
    assert sum(source.fitted for source in alone.values()) >= 2  # or none could be left out
    for name in ("sav_mini", "real_truth"):
        (tmp_path / name).mkdir()
    more = sources(tmp_path)
    assert not any(more[name].fitted for name in {*more} - {*alone})
    assert not more["real_truth"].shown


def test_what_judges_a_source_was_not_fitted_to_it_nor_to_the_damage() -> None:
    known = {name: _source(fitted=name != "real") for name in ("soft", "mesh", "real")}
    every = [
        a_row(source=name, damage=damage) for name in known for damage in ("none", *FIT, *JUDGE)
    ]
    for without in (None, "mesh"):
        found = fitted_rows(every, known, without)
        assert {row.source for row in found} == {"soft", "mesh"} - {without}
        assert {row.damage for row in found} == {"none", *FIT}


def _source(*, fitted: bool) -> Source:
    return Source(about="", units=(), subjects=lambda unit, work: iter(()), fitted=fitted)


def test_left_out_rows_keep_their_order_and_their_estimates() -> None:
    known = {name: _source(fitted=True) for name in ("soft", "mesh")}
    rng = np.random.default_rng(0)
    every = []
    for number in range(120):
        outside = float(rng.uniform(0, 0.2))
        every.append(
            a_row(
                source=("soft", "mesh")[number % 2],
                subject=str(number // 6),
                damage=("none", "blur", "cut")[number % 3],
                error=2 * outside,
                scores={**BEST, "sampled_over": outside},
            )
        )
    judged, estimate = left_out({None: every, "soft": every, "mesh": every}, known)
    assert [row.source for row in judged] == ["soft"] * 40 + ["mesh"] * 40
    assert {row.damage for row in judged} == {"none", "cut"}
    assert estimate == pytest.approx([row.error for row in judged], rel=0.05, abs=1e-3)


def test_scores_never_see_the_truth() -> None:
    assert "truth" not in inspect.signature(cases.scores).parameters


def disc() -> Case:
    y, x = np.mgrid[:72, :96]
    alpha = np.stack([255 * (np.hypot(y - 36, x - 40 - t) < 16 + t % 3) for t in range(6)])
    alpha[:, 34:36, 38:46] = 0  # a narrow gap
    masks = alpha > 0
    alpha = np.where(masks, 230, 0).astype(np.uint8)
    frames = np.random.default_rng(0).integers(0, 256, (*alpha.shape, 3)).astype(np.uint8)
    return Case(
        alpha=alpha,
        frames=frames,
        masks=masks,
        closed=np.roll(alpha, 1, axis=1),
        other=np.roll(alpha, 30, axis=2),
        side=28.0,
        visible=np.ones(6, np.bool_),
        seed=1,
    )


@pytest.mark.parametrize("name", [*FIT, *JUDGE])
def test_damages_change_the_matte_and_not_their_input(name: str) -> None:
    damage, strengths = (FIT | JUDGE)[name]
    case = disc()
    before = case.alpha.copy()
    errors = []
    for strength in strengths:
        spoilt = damage(case, strength)
        assert (spoilt.shape, spoilt.dtype) == (case.alpha.shape, np.uint8)
        assert (damage(case, strength) == spoilt).all()
        errors.append(cases.error(spoilt, before))
    assert max(errors) > 0
    assert (case.alpha == before).all()


def a_subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A disc that moves by a pixel, in the corner of a clip with another."""
    case = disc()
    masklets = tuple(
        Masklet(name=f"manual_00{n}", id=n, kind="manual", rles=(None,) * 6) for n in (0, 1)
    )
    size = WorkingSize(72, 96, 72, 96)
    clip = Clip("c", 96, 72, 24.0, (0, 4, 8, 12, 16, 20), None, masklets, size)
    truths = {"manual_000": case.alpha, "manual_001": np.roll(case.alpha, 30, axis=1)}
    whole = Subject(
        source="soft",
        unit="1 x4",
        name="a",
        loaded=LoadedClip(clip, [*case.frames]),
        truth=case.alpha,
        other=case.other,
    )
    seen = dataclasses.replace(
        clip,
        masklets=tuple(
            dataclasses.replace(one, rles=whole.with_masks(truths[one.name] > 127).rles)
            for one in masklets
        ),
    )
    monkeypatch.setattr(subjects, "LEAST", 100)
    name, loaded, truth, other = next(cut_out(LoadedClip(seen, [*case.frames]), truths, 1, 3))
    assert name == "manual_000"
    return dataclasses.replace(whole, loaded=loaded, truth=truth, other=other)


def test_a_subject_is_cut_out_whole_and_every_case_of_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = a_subject(monkeypatch)
    clip = subject.loaded.clip
    assert clip.frame_indices == (4, 8, 12)
    assert (clip.height, clip.width) == subject.truth.shape[1:] != (72, 96)
    assert subject.truth.sum() == disc().alpha[1:4].sum()
    assert (subject.masks == (subject.truth > 127)).all()
    pairs = [*cases.rows(subject)]
    found = [row for row, _ in pairs]
    assert {row.mask for row in found} == {*cases.MASKS}
    # A damage of a length below a pixel may leave so small an object as it is.
    assert len({*FIT, *JUDGE} - {row.damage for row in found}) < 5
    truths = [row for row in found if row.plain and row.base == "truth"]
    assert [row.error for row in truths] == [0] * len(cases.MASKS)
    assert all("quality" not in row.scores for row in found)
    # What is wrong at points, each for its share, is about what is wrong in all.
    errors = [float(seen.weight @ seen.wrong) / 255 for _, seen in pairs]
    near = [
        abs(e - row.error) < 0.1 + 0.3 * row.error for e, row in zip(errors, found, strict=True)
    ]
    assert np.mean(near) > 0.6


def test_a_clip_seen_from_nearer_is_twice_as_large_and_its_masks_are_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = a_subject(monkeypatch)
    for exact in (True, False):
        name = small.masklet.name
        loaded, truths = nearer(small.loaded, {name: small.truth}, 2, exact=exact)
        height, width = small.truth.shape[1:]
        assert truths[name].shape == (3, 2 * height, 2 * width)
        assert {frame.shape for frame in loaded.frames} == {(2 * height, 2 * width, 3)}
        masks = dataclasses.replace(small, loaded=loaded, truth=truths[name]).masks
        assert masks.sum() == pytest.approx(4 * small.masks.sum(), rel=0.02)
        assert not exact or (masks == (truths[name] > 127)).all()


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opening(unit: str, work: Path) -> Iterator[Subject]:
        opened.append(unit)
        return iter(())

    kinds = {"soft": dataclasses.replace(_source(fitted=True), units=("1", "2"), subjects=opening)}
    monkeypatch.setattr(stored, "sources", lambda shared: kinds)
    monkeypatch.setattr(stored, "ProcessPoolExecutor", _Here)
    assert stored.measured(tmp_path, tmp_path, 1) == ([], [])
    assert opened == ["1", "2"]
    file = tmp_path / "rows/soft.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + lines[1][:20])  # stopped while it wrote the second
    torn = json.loads(lines[1])["unit"]
    stored.measured(tmp_path, tmp_path, 1)
    assert opened == ["1", "2", torn]
    monkeypatch.setattr(stored, "code", lambda *_, **__: "other")
    stored.measured(tmp_path, tmp_path, 1)
    assert opened == ["1", "2", torn, "1", "2"]


def some_points(rng: np.random.Generator, count: int, wrong: float) -> Points:
    """Of which the first trait says how wrong they are; the others are noise."""
    error = rng.uniform(0, 2 * wrong, count)
    traits = rng.normal(0, 1, (count, 4))
    traits[:, 0] = error
    weight = np.full(count, 1 / count, np.float32)
    return Points(traits.astype(np.float16), weight, np.rint(255 * error).astype(np.uint8))


def test_points_are_kept_with_their_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    none = points_of([], np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8))
    assert none.expected(shipped()) is None
    for found in ([], [none], [some_points(rng, 5, 0.1), none, some_points(rng, 3, 0.4)]):
        save(tmp_path / "a.npz", found)
        again = [*load(tmp_path / "a.npz")]
        assert [len(one.wrong) for one in again] == [len(one.wrong) for one in found]
        for one, other in zip(found, again, strict=True):
            if len(one.wrong):
                for name in ("traits", "weight", "wrong"):
                    np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_network_learns_what_makes_errors() -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.01, 0.4, 120)
    seen = [some_points(rng, 40, float(error)) for error in errors]
    made = [
        a_row(subject=str(n // 6), error=float(p.weight @ p.wrong) / 255)
        for n, p in enumerate(seen)
    ]
    found = train(made, seen, ("wrong", "a", "b", "c"))
    again = train(made, seen, ("wrong", "a", "b", "c"))
    assert found.document() == again.document()
    expected = [one.expected(found) for one in seen]
    assert expected == pytest.approx([row.error for row in made], rel=0.3, abs=0.05)
    assert {row.scores["expected_error"] for row in scored(made, seen, found)} == {*expected}


def test_the_slopes_are_those_of_the_loss() -> None:
    """Of pairs: against differences of the loss that the module's head names."""
    rng = np.random.default_rng(1)
    level, aim = (rng.normal(0, 1, 6).astype(np.float32) for _ in range(2))
    share = rng.uniform(0.5, 2, 6).astype(np.float32)
    soft = float(network._SOFT)

    def loss(values: np.ndarray) -> float:
        apart = np.clip(aim[None] - aim[:, None], 0, soft) * np.sqrt(share[None] * share[:, None])
        wrong = np.log1p(np.exp(-(values[None] - values[:, None]) / soft))
        return float((apart * wrong).sum() / apart.sum())

    step = 1e-4
    slopes = [
        (loss(level + step * one) - loss(level - step * one)) / (2 * step) for one in np.eye(6)
    ]
    np.testing.assert_allclose(network._order(level, aim, share), slopes, atol=1e-3)


class _Here:
    """A pool that runs what it is given at once, in this process."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, call: object, *arguments: object) -> object:
        from concurrent.futures import Future

        done: Future[object] = Future()
        done.set_result(call(*arguments))  # type: ignore[operator]
        return done


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
        worst_error = estimated_error({**BEST, term.score: values[-1]})
        assert worst_error == pytest.approx(weights[term.name] * term.cap)
        assert found[3] == pytest.approx(quality_of(worst_error))


def test_a_fit_finds_the_weights_that_made_the_errors() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(200):
        outside, core = (float(value) for value in rng.uniform(0, 0.2, 2))
        mask = "faithful" if number % 2 else "blob.06"
        scores = {**BEST, "sampled_over": outside, "core_loss": core}
        error = 2 * outside + 0.5 * core
        rows.append(a_row(subject=str(number // 10), mask=mask, error=error, scores=scores))
    weights = fit(rows)
    assert weights["sampled_over above 0"] == pytest.approx(2, rel=0.02)
    assert weights["core_loss above 0"] == pytest.approx(0.5, rel=0.05)
    assert estimated(rows, weights) == pytest.approx([row.error for row in rows], rel=0.05)


def test_auc_is_the_chance_to_order_a_pair() -> None:
    bad = np.array([True, False, True, False])
    assert auc(np.array([4.0, 1, 3, 2]), bad) == 1
    assert auc(np.array([1.0, 1, 1, 1]), bad) == 0.5
    assert auc(np.array([4.0, 1, 0, 2]), bad) == 0.5
    assert np.isnan(auc(np.ones(2), np.ones(2, np.bool_)))


def judged() -> Judged:
    """Two masklets; on the second the truth is taken for worse than the mask."""
    made = []
    for subject, mask_error, closed_error in (("a", 0.2, 0.1), ("b", 0.1, 0.101)):
        errors = {"truth": 0.0, "mask": mask_error, "closed_form": closed_error}
        made += [a_row(subject=subject, base=base, error=e) for base, e in errors.items()]
    return Judged(made, np.array([0.0, 0.3, 0.2, 0.15, 0.1, 0.15]), limit=0.15)


def test_what_a_user_decides_by_is_counted_over_masklets() -> None:
    result = judged().result
    assert (result.over_mask, result.over_closed) == (0.5, 0.75)  # equal is half
    assert (result.which, result.clear) == (1, 1)
    assert result.told == 1
    assert [row.subject for row in judged().where(base="mask").rows] == ["a", "b"]


def test_pairs_that_differ_by_less_than_a_tenth_are_not_clear() -> None:
    one = judged()
    turned = Judged(one.rows, one.estimate * [1, 1, 1, 1, 2, 1], one.limit)
    assert (turned.result.which, turned.result.clear) == (0.5, 1)


def test_a_gate_costs_no_source_more_than_it_may() -> None:
    made = [a_row(source="soft", subject=str(n), unit="u") for n in range(100)]
    made += [a_row(source="mesh", subject=str(n), unit="u") for n in range(10)]
    made += [a_row(subject=str(n), damage="blur", error=0.5) for n in range(10)]
    estimate = np.concatenate([np.linspace(0, 0.02, 100), np.full(10, 0.1), np.full(10, 0.4)])
    gate = best_gate(Judged(made, estimate, limit=0.1))
    assert gate.least <= quality_of(0.1) < gate.least + 0.01
    assert (gate.cost, gate.found, gate.worth) == (0, 1, True)
    costs = {name: cost for name, cost, _ in by_source(Judged(made, estimate, 0.1), 0.9)}
    assert costs["mesh"] == 1


def test_the_worst_mistakes_are_of_both_kinds_and_of_other_sources() -> None:
    errors, estimates = [0.5, 0.4, 0.01, 0.02, 0.1, 0.3], [0.001, 0.01, 0.4, 0.3, 0.1, 0.2]
    made = [a_row(source="aabbcc"[n], error=e) for n, e in enumerate(errors)]
    found = worst(Judged(made, np.array(estimates), limit=0.1))
    assert [m.row.error for m in found] == [0.5, 0.3, 0.01]


def test_fine_structure_is_shown_as_it_typically_comes_out() -> None:
    made = [
        a_row(source=source, base="closed_form", damage="none", mask="faithful", error=error)
        for source in ("soft", "mesh", "leaves", "hairs", "lace")
        for error in (0.3, 0.1, 0.2)
    ]
    made += [dataclasses.replace(row, mask="down8", error=0.15) for row in made]
    found = typical(Judged(made, np.zeros(len(made)), limit=0.1))
    assert [row.source for row in found] == ["mesh", "leaves", "hairs", "lace"]
    assert {(row.error, row.mask) for row in found} == {(0.2, "faithful")}
