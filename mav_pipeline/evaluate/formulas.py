"""How far one frame of a matte is from its truth, as the matting literature has it. Pure.

    mad      mean |d| x 1e3                                                      [0, 1000]
    mad_t    the same where the truth leaves doubt                               [0, 1000]
    mse      mean d^2 x 1e3                                                      [0, 1000]
    grad     sum of (|grad alpha| - |grad truth|)^2 / 1000                       >= 0
    grad_lr  the same of alpha and truth each stretched to [0, 1]                >= 0
    conn     sum of |phi alpha - phi truth| / 1000                               >= 0
    dtssd    sqrt(mean (d - d of the frame before)^2) x 1e2                      [0, 200]

d = alpha - truth with both in [0, 1]; all have no unit, and 0 is best. mad, mse and the scales are
those of VideoMaMa (arXiv 2601.14255); grad and conn sum over a frame (Rhemann et al., "A
perceptually motivated online benchmark for image matting", CVPR 2009), so they grow with its size;
dtssd is Erofeev et al.'s ("Perceptually motivated benchmark for video matting", BMVC 2015).

Frames are 8-bit, and but for gradients all is counted in whole numbers. What is equal in both
cannot err, so grad and conn look no further than they must; tests hold them to the plain
definitions and to what published scripts gave.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import AlphaFrame

_ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (10, 10))
_ELLIPSE_REACH = 5

_SIGMA = 1.4
_REACH = 4  # where a Gaussian of that width falls below 0.01, which is where the benchmark cuts it
_OFFSETS = np.arange(-_REACH, _REACH + 1)
_BELL = np.exp(-(_OFFSETS**2) / (2 * _SIGMA**2))
_SLOPE = _OFFSETS * _BELL
_SMOOTH, _DERIVE = (kernel / np.linalg.norm(kernel) for kernel in (_BELL, _SLOPE))

_STEPS = 10  # thresholds of conn are 0.1, 0.2 ... 1.0
_UNITS = 255 * _STEPS  # of alpha = 1: 8-bit values and thresholds are both whole numbers of these
_THETA = 0.15 * _UNITS  # 382.5: a step below this is none
_LEVEL = (np.arange(256) * _STEPS // 255).astype(np.uint8)  # thresholds that a value reaches

_Box = tuple[slice, slice]


def mad(alpha: AlphaFrame, truth: AlphaFrame) -> float:
    """Mean absolute difference times 1000."""
    return cv2.norm(alpha, truth, cv2.NORM_L1) / alpha.size / 255 * 1e3


def mad_t(alpha: AlphaFrame, truth: AlphaFrame) -> float | None:
    """``mad`` over the pixels where the truth leaves doubt; None where it leaves none.

    That is outside of {truth = 1} and of {truth = 0}, each eroded by OpenCV's 10 x 10 ellipse;
    beyond the frame's edge nothing erodes them.
    """
    box = _around(truth, _ELLIPSE_REACH)
    if box is None:
        return None
    alpha, truth = (np.ascontiguousarray(part[box]) for part in (alpha, truth))
    sure = [cv2.erode(np.asarray(truth == value).view(np.uint8), _ELLIPSE) for value in (0, 255)]
    doubt = np.asarray(cv2.bitwise_or(*sure) == 0).view(np.uint8)
    pixels = cv2.countNonZero(doubt)
    return cv2.norm(alpha, truth, cv2.NORM_L1, doubt) / pixels / 255 * 1e3 if pixels else None


def mse(alpha: AlphaFrame, truth: AlphaFrame) -> float:
    """Mean squared difference times 1000."""
    return cv2.norm(alpha, truth, cv2.NORM_L2SQR) / alpha.size / 255**2 * 1e3


def grad(alpha: AlphaFrame, truth: AlphaFrame) -> float:
    """Sum of squared differences of gradient magnitudes over 1000.

    Gradients by first derivatives of a Gaussian, sigma 1.4, 9 x 9, of unit L2 norm, edges
    repeated; alpha as it is, as in evaluate_hr.py of Robust Video Matting.
    """
    # _REACH pixels beyond a difference gradients still differ; they look as far again.
    box = _around(_difference(alpha, truth), 2 * _REACH)
    if box is None:
        return 0.0
    return cv2.norm(_slope(alpha[box]), _slope(truth[box]), cv2.NORM_L2SQR) / 1000


def grad_lr(alpha: AlphaFrame, truth: AlphaFrame, unstretched: float) -> float:
    """``grad`` of both frames after each is stretched from its own least and most to [0, 1].

    So in evaluate_lr.py of Robust Video Matting; a frame of one value becomes 0 there.

    Args:
        unstretched: their ``grad``. Most frames run from 0 to 255, and it is the answer.
    """
    lows, spans = zip(*map(_range, (alpha, truth)), strict=True)
    if spans == (255, 255):
        return unstretched
    above = [part - np.uint8(low) for part, low in zip((alpha, truth), lows, strict=True)]
    box = _around(above[0] | above[1], 2 * _REACH)
    if box is None:
        return 0.0
    slope, true_slope = (
        _slope(part[box]) * np.float32(255 / span if span else 0)
        for part, span in zip(above, spans, strict=True)
    )
    return cv2.norm(slope, true_slope, cv2.NORM_L2SQR) / 1000


def conn(alpha: AlphaFrame, truth: AlphaFrame) -> float:
    """Connectivity error: sum of |phi alpha - phi truth| over 1000.

    Omega(t) is the largest 4-connected component of {alpha >= t and truth >= t} (the benchmark's
    choice of neighbours; of equals, the one met first row by row). l of a pixel is the last of
    0, 0.1 ... 1.0 before the first t whose Omega lacks it, or 1; phi x = 1 - (x - l) where x - l
    is at least theta = 0.15, else 1.
    """
    difference = _difference(alpha, truth)
    shared = np.asarray(cv2.LUT(cv2.min(alpha, truth), _LEVEL), dtype=np.uint8)
    box = _around(shared | difference, 0)
    if box is None:
        return 0.0
    last = _last_steps(shared[box], difference[box]) * np.int16(_UNITS // _STEPS)
    alpha_above, truth_above = (
        cv2.threshold(_STEPS * part[box].astype(np.int16) - last, _THETA, 0, cv2.THRESH_TOZERO)[1]
        for part in (alpha, truth)
    )
    return cv2.norm(alpha_above, truth_above, cv2.NORM_L1) / _UNITS / 1000


def dtssd(difference: NDArray[np.int16], before: NDArray[np.int16]) -> float:
    """Of two frames' 8-bit alpha - truth: root of their mean squared change, times 100."""
    # Subtracted first: OpenCV 5.0's norm of two int16 arrays is off by one a negative difference.
    changed = cv2.norm(cv2.subtract(difference, before), cv2.NORM_L2SQR)
    return float(np.sqrt(changed / difference.size)) / 255 * 1e2


def _range(image: AlphaFrame) -> tuple[int, int]:
    """The least value, and how far the most is above it."""
    low, high, _, _ = cv2.minMaxLoc(image)
    return int(low), int(high - low)


def _difference(alpha: AlphaFrame, truth: AlphaFrame) -> AlphaFrame:
    return np.asarray(cv2.absdiff(alpha, truth), dtype=np.uint8)


def _around(image: AlphaFrame, margin: int) -> _Box | None:
    """The box of all that is not 0 with a margin, inside the image; None where all is 0."""
    left, top, width, height = cv2.boundingRect(image)
    if not width:
        return None
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)


def _slope(part: AlphaFrame) -> NDArray[np.float32]:
    """Gradient magnitude of 8-bit alpha, in units of alpha."""
    repeat = cv2.BORDER_REPLICATE
    along = cv2.sepFilter2D(part, cv2.CV_32F, _DERIVE / 255, _SMOOTH, borderType=repeat)
    down = cv2.sepFilter2D(part, cv2.CV_32F, _SMOOTH, _DERIVE / 255, borderType=repeat)
    return np.asarray(cv2.magnitude(along, down), dtype=np.float32)


def _last_steps(shared: AlphaFrame, difference: AlphaFrame) -> NDArray[np.uint8]:
    """How many thresholds each pixel stays in the largest component for.

    Args:
        shared: (H, W) thresholds that alpha and truth both reach.
        difference: not 0 where the answer is asked for; elsewhere it may be too high.
    """
    last = shared.copy()
    highest = int(cv2.minMaxLoc(shared, mask=difference)[1])
    for step in range(1, highest + 1):
        within = (shared >= step).view(np.uint8)
        count, labels = cv2.connectedComponents(within, connectivity=4)
        if count > 2:  # not connectedComponentsWithStats, which takes three times as long
            areas = np.bincount(labels.ravel())
            lost = (labels != 1 + int(np.argmax(areas[1:]))) & (last >= step)
            last[lost] = step - 1
    return last
