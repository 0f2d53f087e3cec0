"""Errors against the truth: by hand, and against their plain definitions on whole frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from mav_pipeline.evaluate.metrics import METRICS, MetricSums, conn, dtssd, grad, mad_t, mse

Image = NDArray[np.uint8]


def frame(*rows: list[int]) -> Image:
    return np.array(rows, np.uint8)


def flat(value: int, shape: tuple[int, int] = (24, 32)) -> Image:
    return np.full(shape, value, np.uint8)


def measured(alpha: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float | None]:
    metrics = MetricSums()
    for index, pair in enumerate(zip(alpha, truth, strict=True)):
        metrics.add(index, *pair)
    return metrics.means()


# the definitions, taken at their word: whole frames, floats, one loop a threshold


def plain_mad_t(alpha: Image, truth: Image) -> float | None:
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (10, 10)).astype(bool)
    sure = [ndimage.binary_erosion(truth == value, ellipse, border_value=1) for value in (0, 255)]
    doubt = ~(sure[0] | sure[1])
    if not doubt.any():
        return None
    return float(np.abs(alpha[doubt] / 255 - truth[doubt] / 255).mean() * 1e3)


def plain_grad(alpha: Image, truth: Image) -> float:
    sigma = 1.4
    reach = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * 0.01))))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = -x * np.exp(-(x**2 + y**2) / (2 * sigma**2))
    kernel /= np.sqrt((kernel**2).sum())
    sizes = [
        np.hypot(*(ndimage.convolve(image / 255, k, mode="nearest") for k in (kernel, kernel.T)))
        for image in (alpha, truth)
    ]
    return float(((sizes[0] - sizes[1]) ** 2).sum() / 1000)


def plain_conn(alpha: Image, truth: Image) -> float:
    a, t = alpha / 255, truth / 255
    last = np.full(a.shape, -1.0)
    for step in range(1, 11):
        threshold = step / 10 - 1e-9  # 51 / 255 is 0.2, whatever floats make of it
        labels, count = ndimage.label((a >= threshold) & (t >= threshold))  # 4 neighbours
        sizes = [(labels == label).sum() for label in range(1, count + 1)]
        omega = labels == 1 + int(np.argmax(sizes)) if sizes else np.zeros(a.shape, bool)
        last[(last == -1) & ~omega] = (step - 1) / 10
    last[last == -1] = 1
    phi = [1 - np.where(image - last >= 0.15, image - last, 0) for image in (a, t)]
    return float(np.abs(phi[0] - phi[1]).sum() / 1000)


def plain_dtssd(alpha: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    change = np.diff(alpha / 255, axis=0) - np.diff(truth / 255, axis=0)
    return float(np.sqrt((change**2).mean(axis=(1, 2))).mean() * 1e2)


def plain(alpha: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float | None]:
    a, t = alpha / 255, truth / 255
    pairs = list(zip(alpha, truth, strict=True))
    doubted = [value for pair in pairs if (value := plain_mad_t(*pair)) is not None]
    return {
        "mad": float(np.abs(a - t).mean() * 1e3),
        "mad_t": float(np.mean(doubted)) if doubted else None,
        "mse": float(((a - t) ** 2).mean() * 1e3),
        "grad": float(np.mean([plain_grad(*pair) for pair in pairs])),
        "conn": float(np.mean([plain_conn(*pair) for pair in pairs])),
        "dtssd": plain_dtssd(alpha, truth) if len(pairs) > 1 else None,
    }


def agree(alpha: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    found, wanted = measured(alpha, truth), plain(alpha, truth)
    assert set(found) == set(METRICS)
    for metric, value in wanted.items():
        if value is None:
            assert found[metric] is None, metric
        else:  # only grad is computed in single precision
            rel, least = (1e-5, 1e-7) if metric == "grad" else (1e-9, 1e-12)
            assert found[metric] == pytest.approx(value, rel=rel, abs=least), metric


# alphas as they occur


def mattes(seed: int, count: int = 3, shape: tuple[int, int] = (60, 80)) -> NDArray[np.uint8]:
    """(count, H, W) soft blobs with holes and islands that drift from frame to frame."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((shape[0], shape[1] + count)), (0, 0), 4)
    softness = float(rng.choice([0.005, 0.03, 0.1]))
    field = np.clip(noise / softness + rng.uniform(-2, 1) + 0.5, 0, 1)
    return np.stack([(field[:, i : i + shape[1]] * 255).astype(np.uint8) for i in range(count)])


def worsened(truth: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A plausible prediction: blurred, thresholded, noisy at the edge, or with a part missing."""
    rng, alpha = np.random.default_rng(seed), truth.copy()
    match seed % 5:
        case 0:
            alpha = np.stack([cv2.GaussianBlur(part, (0, 0), 2) for part in truth])
        case 1:
            alpha = np.where(truth > 127, 255, 0).astype(np.uint8)
        case 2:
            noise = rng.integers(-40, 41, truth.shape) * ((truth > 0) & (truth < 255))
            alpha = np.clip(truth + noise, 0, 255).astype(np.uint8)
        case 3:
            alpha[:, 10:30, 20:40] = 0
        case 4:
            alpha = np.clip(truth.astype(np.int16) + rng.integers(-3, 4), 0, 255).astype(np.uint8)
    return alpha


@pytest.mark.parametrize("seed", range(25))
def test_realistic_mattes_agree_with_the_definitions(seed: int) -> None:
    truth = mattes(seed)
    agree(worsened(truth, seed), truth)
    agree(mattes(seed + 100), truth)


few = st.sampled_from([0, 25, 26, 51, 102, 128, 153, 204, 216, 229, 230, 254, 255])
levels = st.one_of(st.just(0), st.just(255), few, st.integers(0, 255))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 14), st.integers(1, 14)))
    fill = draw(st.sampled_from([st.just(0), st.just(255), st.nothing()]))
    elements: Any = draw(st.sampled_from([levels, few, st.sampled_from([0, 255])]))
    alpha, truth = (draw(arrays(np.uint8, shape, elements=elements, fill=fill)) for _ in "at")
    return alpha, truth


@given(pairs())
@example((np.zeros((2, 3, 4), np.uint8), np.full((2, 3, 4), 255, np.uint8)))
@example((np.full((1, 1, 1), 255, np.uint8), np.full((1, 1, 1), 255, np.uint8)))
def test_any_mattes_agree_with_the_definitions(
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    agree(*pair)


@given(st.integers(0, 10**6), st.integers(0, 80), st.integers(0, 100))
def test_where_a_matte_lies_in_the_frame_does_not_matter(seed: int, top: int, left: int) -> None:
    truth = mattes(seed, 1, (20, 24))
    framed = [np.zeros((1, 120, 140), np.uint8) for _ in range(2)]
    for canvas, part in zip(framed, (worsened(truth, seed), truth), strict=True):
        canvas[:, top : top + 20, left : left + 24] = part
    agree(*framed)


# what published scripts give

GOLDEN = Path(__file__).parent.parent / "data" / "metrics_golden.npz"
SEQUENCES = [
    *("made_binary.hair", "made_blurred.hair", "made_blurred.smoke", "made_eroded.absent"),
    *("made_eroded.fifths", "made_noisy.absent", "made_noisy.fifths", "made_scaled.smoke"),
]


def published(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, float]]:
    """Prediction, truth and what Robust Video Matting's scripts gave for them.

    Grad_lr and Conn are of its evaluate_lr.py, the others of evaluate_hr.py. Conn is of frames as
    they are: only Grad_lr stretches them.
    """
    with np.load(GOLDEN) as stored:
        alpha, truth, values = (stored[f"{name}.{part}"] for part in ("pred", "true", "values"))
    names = ("mad", "mse", "grad", "grad_lr", "conn", "dtssd")
    return alpha, truth, dict(zip(names, values.tolist(), strict=False))  # J and F are not ours


def test_every_published_sequence_is_held_to() -> None:
    with np.load(GOLDEN) as stored:
        assert {name.rpartition(".")[0] for name in stored} == set(SEQUENCES)


@pytest.mark.parametrize("name", SEQUENCES)
def test_metrics_are_those_of_the_published_scripts(name: str) -> None:
    alpha, truth, wanted = published(name)
    found = measured(alpha, truth)
    for metric in ("mad", "mse", "grad", "conn"):
        assert found[metric] == pytest.approx(wanted[metric], rel=0, abs=1e-6), metric
    # Theirs counts a 0 for the first frame; ours is the mean over pairs of frames.
    over_frames = found["dtssd"] * (len(alpha) - 1) / len(alpha)
    assert over_frames == pytest.approx(wanted["dtssd"], rel=0, abs=1e-6)


@pytest.mark.parametrize("name", SEQUENCES)
def test_grad_is_that_of_the_low_resolution_script_but_for_its_stretching(name: str) -> None:
    """It stretches each frame to its own minimum and maximum, for grad alone; we do not."""
    alpha, truth, wanted = published(name)
    if name.endswith(".smoke"):  # never above 150 of 255; the others reach it, or are 0 throughout
        assert abs(measured(alpha, truth)["grad"] - wanted["grad_lr"]) > 0.01
        pairs = zip(alpha / alpha.max() * 255, truth / truth.max() * 255, strict=True)
        found = float(np.mean([plain_grad(*pair) for pair in pairs]))
    else:
        found = measured(alpha, truth)["grad"]
    assert found == pytest.approx(wanted["grad_lr"], rel=0, abs=1e-6)


# by hand


def test_a_perfect_matte_has_no_error() -> None:
    truth = mattes(1)
    assert measured(truth, truth) == dict.fromkeys(METRICS, 0.0)


def test_the_means_of_a_constant_error() -> None:
    found = measured(np.stack([flat(51), flat(51)]), np.stack([flat(0), flat(0)]))
    assert found["mad"] == pytest.approx(200)
    assert found["mse"] == pytest.approx(40)
    assert found["grad"] == pytest.approx(0, abs=1e-12)
    assert found["dtssd"] == 0
    assert found["mad_t"] is None  # no truth but 0: nothing is in doubt
    # 0.2 above l = 0 counts in full, on 24 x 32 pixels.
    assert found["conn"] == pytest.approx(0.2 * 768 / 1000)


def test_dtssd_sees_what_changes_and_not_what_is_wrong() -> None:
    truth = np.zeros((3, 4, 4), np.uint8)
    still = np.full((3, 4, 4), 51, np.uint8)
    blink = np.stack([flat(v, (4, 4)) for v in (0, 51, 0)])
    assert measured(still, truth)["dtssd"] == 0
    assert measured(blink, truth)["dtssd"] == pytest.approx(20)
    one = np.zeros((4, 4), np.int16)
    one[0, 0] = 255
    assert dtssd(one, one * 0) == pytest.approx(100 * (1 / 16) ** 0.5)


def test_a_gap_parts_a_pair() -> None:
    metrics = MetricSums()
    for index, value in ((0, 0), (1, 51), (3, 0), (4, 0)):
        metrics.add(index, flat(value), flat(0))
    assert metrics.counts["dtssd"] == 2
    assert metrics.means()["dtssd"] == pytest.approx(10)
    assert metrics.frames == metrics.counts["mad"] == 4


def test_no_frames_no_errors() -> None:
    assert MetricSums().means() == dict.fromkeys(METRICS)


def test_mad_t_looks_at_the_edge_alone() -> None:
    truth = np.repeat(frame([0] * 20 + [255] * 20), 30, axis=0)
    far = truth.copy()
    far[:, :10], far[:, 30:] = 90, 90
    assert mad_t(far, truth) == 0
    near = truth.copy()
    near[:, 19] = 51
    # OpenCV's 10 x 10 ellipse reaches 5 pixels back and 4 on: 4 + 5 columns are in doubt.
    assert mad_t(near, truth) == pytest.approx(200 / 9)


def test_mad_t_of_a_truth_without_doubt() -> None:
    assert mad_t(flat(9), flat(0)) is None
    assert mad_t(flat(9), flat(255)) is None
    assert mad_t(flat(9), flat(60)) == pytest.approx(51 / 255 * 1e3)


def test_the_gradient_of_a_step() -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[:, 30:] = 255
    offsets = np.arange(-4, 5)
    bell = np.exp(-(offsets**2) / (2 * 1.4**2))
    slope = offsets * bell
    column = bell.sum() / np.sqrt((bell**2).sum())
    rise = np.array([slope[offsets > at].sum() for at in range(-5, 5)])
    expected = 40 * ((column * rise / np.sqrt((slope**2).sum())) ** 2).sum() / 1000
    assert grad(np.zeros_like(truth), truth) == pytest.approx(expected, rel=1e-5)


def test_an_island_that_the_matte_cuts_off_costs_its_height() -> None:
    """At 0.9 in both, but the bridge between the blobs is 0 in alpha: the small one falls out."""
    truth = np.zeros((9, 20), np.uint8)
    truth[2:7, 1:8], truth[2:7, 12:15], truth[4, 8:12] = 255, 255, 255
    alpha = truth.copy()
    alpha[4, 8:12] = 0
    # The bridge: l = 0 and d = 1 on 4 pixels. The island: l = 0 and equal in both, so no error.
    assert conn(alpha, truth) == pytest.approx(4 / 1000)
    alpha[2:7, 12:15] = 204
    # Now it differs, and both count their height above l = 0: 0.2 on 15 pixels.
    assert conn(alpha, truth) == pytest.approx((4 + 0.2 * 15) / 1000)


def test_connected_pixels_may_differ_by_less_than_theta() -> None:
    assert conn(flat(204, (5, 5)), flat(230, (5, 5))) == 0  # 0.902 - 0.8 < 0.15
    # alpha = 0.8 = l, truth = 1.
    assert conn(flat(204, (5, 5)), flat(255, (5, 5))) == pytest.approx(0.2 * 25 / 1000)


def test_diagonal_neighbours_are_not_connected() -> None:
    truth = frame([255, 0, 0], [0, 255, 255], [0, 255, 255])
    alpha = frame([230, 0, 0], [0, 230, 230], [0, 230, 230])
    # The corner pixel's l is 0, so it errs by 25 / 255; the others stay within theta.
    assert conn(alpha, truth) == pytest.approx(25 / 255 / 1000)


def test_of_equal_components_the_first_row_by_row_is_the_largest() -> None:
    truth = frame([0, 0, 255, 0, 0], [255, 0, 0, 0, 0])
    alpha = frame([0, 0, 230, 0, 0], [200, 0, 0, 0, 0])
    assert conn(alpha, truth) == pytest.approx(55 / 255 / 1000)


def test_thresholds_are_met_exactly() -> None:
    """51 / 255 is 0.2 and reaches that threshold; 50 / 255 does not."""
    assert conn(flat(51, (2, 2)), flat(102, (2, 2))) == pytest.approx(4 * 0.2 / 1000)
    # l = 0.1: 0.4 - 0.1 against 0.096, which is below theta.
    assert conn(flat(50, (2, 2)), flat(102, (2, 2))) == pytest.approx(4 * 0.3 / 1000)


def test_frame_and_matte_mse_agree() -> None:
    truth, alpha = mattes(3), mattes(4)
    assert np.mean([mse(*pair) for pair in zip(alpha, truth, strict=True)]) == pytest.approx(
        measured(alpha, truth)["mse"]
    )
