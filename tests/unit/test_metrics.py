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

from mav_pipeline.evaluate.formulas import conn, dtssd, grad, mad_t, mse
from mav_pipeline.evaluate.metrics import METRICS, MetricSums

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


def plain_grad(alpha: NDArray[Any], truth: NDArray[Any]) -> float:
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


def stretched(image: Image) -> NDArray[np.float64]:
    """In units of 8-bit alpha."""
    span = np.ptp(image)
    return (image - image.min()) / span * 255.0 if span else np.zeros(image.shape)


def plain_boundary(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the 2 x 2 pixels to the right and below are not alike; beyond the frame is nothing."""
    window: dict[str, Any] = {"size": 2, "origin": -1, "mode": "nearest"}
    most, least = (f(region, **window) for f in (ndimage.maximum_filter, ndimage.minimum_filter))
    return np.asarray(most != least)


def plain_f(region: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    reach = int(np.ceil(0.008 * np.linalg.norm(region.shape)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (y**2 + x**2 <= reach**2).astype(np.uint8)
    edges = [plain_boundary(part) for part in (region, wanted)]
    near = [cv2.dilate(edge.view(np.uint8), disk).astype(bool) for edge in edges]
    if not edges[0].any() or not edges[1].any():
        return 100.0 * (not edges[0].any() and not edges[1].any())
    precision, recall = (edges[0] & near[1]).sum(), (edges[1] & near[0]).sum()
    if precision == recall == 0:
        return 0.0
    precision, recall = precision / edges[0].sum(), recall / edges[1].sum()
    return float(200 * precision * recall / (precision + recall))


def plain_j_and_f(
    alpha: NDArray[np.uint8], truth: NDArray[np.uint8]
) -> tuple[float | None, float | None]:
    regions = list(zip(alpha > 127, truth > 127, strict=True))
    while regions and not (regions[0][0].any() or regions[0][1].any()):
        del regions[0]
    if not any(wanted.any() for _, wanted in regions):
        return None, None
    ratios = [100 * (a & t).sum() / (a | t).sum() if (a | t).any() else 100 for a, t in regions]
    return float(np.mean(ratios)), float(np.mean([plain_f(*pair) for pair in regions]))


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
    change = plain_dtssd(alpha, truth) if len(pairs) > 1 else None
    j, f = plain_j_and_f(alpha, truth)
    return {
        "mad": float(np.abs(a - t).mean() * 1e3),
        "mad_t": float(np.mean(doubted)) if doubted else None,
        "mse": float(((a - t) ** 2).mean() * 1e3),
        "grad": float(np.mean([plain_grad(*pair) for pair in pairs])),
        "grad_lr": float(np.mean([plain_grad(*map(stretched, pair)) for pair in pairs])),
        "conn": float(np.mean([plain_conn(*pair) for pair in pairs])),
        "dtssd": None if change is None else change * (len(pairs) - 1) / len(pairs),
        "dtssd_pairs": change,
        "j": j,
        "f": f,
        "jf": None if j is None or f is None else (j + f) / 2,
    }


def agree(alpha: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    found, wanted = measured(alpha, truth), plain(alpha, truth)
    assert set(found) == set(wanted) == set(METRICS)
    for metric, value in wanted.items():
        if value is None:
            assert found[metric] is None, metric
        else:  # only gradients are computed in single precision
            rel, least = (1e-5, 1e-7) if metric.startswith("grad") else (1e-9, 1e-12)
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


@pytest.mark.parametrize("name", SEQUENCES)
def test_metrics_are_those_of_the_published_scripts(name: str) -> None:
    """See tests/data/README.md for whose they are; frame 0 of the absent ones is empty."""
    with np.load(GOLDEN) as stored:
        alpha, truth, values = (stored[f"{name}.{part}"] for part in ("pred", "true", "values"))
    found = measured(alpha, truth)
    names = ("mad", "mse", "grad", "grad_lr", "conn", "dtssd", "j", "f")
    for metric, value in zip(names, values.tolist(), strict=True):
        assert found[metric] == pytest.approx(value, rel=0, abs=1e-6), metric
    assert found["dtssd_pairs"] == pytest.approx(found["dtssd"] * 12 / 11)


def test_every_published_sequence_is_held_to() -> None:
    with np.load(GOLDEN) as stored:
        assert {name.rpartition(".")[0] for name in stored} == set(SEQUENCES)


# by hand


def test_a_perfect_matte_has_no_error() -> None:
    truth = mattes(1)
    best = {name: 100.0 if m.better == "more" else 0.0 for name, m in METRICS.items()}
    assert measured(truth, truth) == best


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
    assert measured(blink, truth)["dtssd_pairs"] == pytest.approx(20)
    assert measured(blink, truth)["dtssd"] == pytest.approx(40 / 3), "the first frame counts as 0"
    one = np.zeros((4, 4), np.int16)
    one[0, 0] = 255
    assert dtssd(one, one * 0) == pytest.approx(100 * (1 / 16) ** 0.5)


def test_a_gap_parts_a_pair() -> None:
    metrics = MetricSums()
    for index, value in ((0, 0), (1, 51), (3, 0), (4, 0)):
        metrics.add(index, flat(value), flat(0))
    assert metrics.counts["dtssd_pairs"] == 2
    assert metrics.means()["dtssd_pairs"] == pytest.approx(10)
    # A frame after a gap is no first frame: it does not count with 0.
    assert metrics.counts["dtssd"] == 3
    assert metrics.means()["dtssd"] == pytest.approx(20 / 3)
    assert metrics.frames == metrics.counts["mad"] == 4


def test_no_frames_no_errors() -> None:
    assert MetricSums().means() == dict.fromkeys(METRICS)


def test_a_frame_alone_has_no_change() -> None:
    found = measured(mattes(1, 1), mattes(2, 1))
    assert found["dtssd"] is found["dtssd_pairs"] is None


def test_the_last_frame_is_let_go_of() -> None:
    metrics = MetricSums()
    metrics.add(0, flat(9), flat(0))
    assert metrics.finish()._last is None


def boxes(*sides: int) -> NDArray[np.uint8]:
    """Frames with a square at (20, 20) of each side, opaque."""
    frames = np.zeros((len(sides), 60, 80), np.uint8)
    for frame, side in zip(frames, sides, strict=True):
        frame[20 : 20 + side, 20 : 20 + side] = 255
    return frames


def test_j_counts_from_the_first_frame_on_which_anything_shows() -> None:
    found = measured(boxes(0, 0, 10, 0), boxes(0, 0, 20, 0))
    assert found["j"] == pytest.approx((25 + 100) / 2), "empty against empty is right, once begun"
    early = measured(boxes(0, 10, 20, 20), boxes(0, 0, 20, 20))
    assert early["j"] == pytest.approx((0 + 100 + 100) / 3), "alpha before the object shows counts"
    assert early["f"] == pytest.approx((0 + 100 + 100) / 3)


def test_j_and_f_need_a_truth_above_one_half() -> None:
    faint = boxes(20) // 2  # 127, which is below
    assert measured(boxes(20), faint)["jf"] is None
    assert measured(faint, boxes(20))["jf"] == 0
    assert measured(boxes(20), faint + faint // 127)["jf"] == 100


def test_f_allows_for_a_boundary_that_is_a_little_off() -> None:
    """0.8% of the diagonal of 80 x 60 is 0.8 pixels, which is rounded up to one."""
    shifted = [np.roll(boxes(20), offset, axis=2) for offset in (1, 2, 3)]
    values = [measured(part, boxes(20))["f"] for part in shifted]
    assert values[0] == 100
    assert 100 > (values[1] or 0) > (values[2] or 0) > 40


def test_a_boundary_along_the_edge_of_the_frame_is_none() -> None:
    full, truth = np.full((1, 8, 9), 255, np.uint8), np.full((1, 8, 9), 255, np.uint8)
    assert measured(full, truth)["jf"] == 100
    truth[:, :, 0] = 0
    assert measured(full, truth)["f"] == 0
    agree(full, truth)


def test_grad_lr_stretches_each_frame() -> None:
    truth = mattes(3)
    half = truth // 2 * 2
    faint = (half // 2 + 60).astype(np.uint8)  # half the contrast, on a floor
    found = measured(faint, half)
    assert (found["grad"] or 0) > 0.1
    assert found["grad_lr"] == pytest.approx(0, abs=1e-6)
    assert measured(flat(0)[None], flat(200)[None])["grad_lr"] == 0


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
