"""J and F of video object segmentation: alpha above one half against truth above one half. Pure.

As SA-V's evaluator has them (``sav_benchmark.py`` of the SAM 2 repository), which took them from
DAVIS 2017 (Pont-Tuset et al., arXiv 1704.00675; boundaries after Perazzi et al., CVPR 2016):

    j  intersection over union of the two regions x 100                         [0, 100]
    f  harmonic mean of the boundaries' precision and recall x 100              [0, 100]

A boundary pixel is met where the other boundary comes within 0.8% of the frame's diagonal, rounded
up to whole pixels. Both are 100 where neither frame shows anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import AlphaFrame

_HALF = 127  # the last value below .5
_BOUND = 0.008  # of the diagonal


@dataclass(slots=True)
class OverlapSums:
    """Gathers J and F of one masklet, from the first frame on which either shows anything.

    Attributes:
        j, f: sums over ``frames``.
        truth_shown: whether the truth ever did; the evaluator has no result where it did not.
    """

    j: float = 0.0
    f: float = 0.0
    frames: int = 0
    truth_shown: bool = False

    def add(self, alpha: AlphaFrame, truth: AlphaFrame) -> None:
        """Compares one (H, W) frame, the next in time."""
        truth_shows = _shows(truth)
        if not (self.frames or truth_shows or _shows(alpha)):
            return
        self.truth_shown = self.truth_shown or truth_shows
        j, f = j_and_f(alpha, truth)
        self.j += j
        self.f += f
        self.frames += 1


def _shows(frame: AlphaFrame) -> bool:
    return cv2.minMaxLoc(frame)[1] > _HALF


def j_and_f(alpha: AlphaFrame, truth: AlphaFrame) -> tuple[float, float]:
    """Both of one (H, W) frame, in percent; 100 is best."""
    found, wanted = (
        cv2.threshold(part, _HALF, 255, cv2.THRESH_BINARY)[1] for part in (alpha, truth)
    )
    either = np.asarray(cv2.bitwise_or(found, wanted), dtype=np.uint8)
    left, top, width, height = cv2.boundingRect(either)
    if not width:
        return 100.0, 100.0
    # One pixel around all that shows: no boundary lies further out.
    box = slice(max(0, top - 1), top + height + 1), slice(max(0, left - 1), left + width + 1)
    both = cv2.countNonZero(cv2.bitwise_and(found, wanted))
    reach = math.ceil(_BOUND * math.hypot(*alpha.shape))
    edges = [_boundary(np.asarray(part, dtype=np.uint8)[box]) for part in (found, wanted)]
    return both / cv2.countNonZero(either) * 100, _agreement(edges[0], edges[1], reach) * 100


def _boundary(region: AlphaFrame) -> NDArray[np.bool_]:
    """Pixels that differ from the one to the right, the one below, or the one between these.

    At the last column and row there is nothing to differ from beyond the frame.
    """
    beyond = np.asarray(cv2.copyMakeBorder(region, 0, 1, 0, 1, cv2.BORDER_REPLICATE))
    right, below, between = beyond[:-1, 1:], beyond[1:, :-1], beyond[1:, 1:]
    return np.asarray((region != right) | (region != below) | (region != between))


def _agreement(found: NDArray[np.bool_], wanted: NDArray[np.bool_], reach: int) -> float:
    """The harmonic mean of the shares of each boundary that the other comes near to."""
    counts = np.count_nonzero(found), np.count_nonzero(wanted)
    if 0 in counts:
        return float(counts[0] == counts[1])
    precision = np.count_nonzero(found & _near(wanted, reach)) / counts[0]
    recall = np.count_nonzero(wanted & _near(found, reach)) / counts[1]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(boundary: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Pixels whose distance to a boundary pixel is ``reach`` at most: it, dilated by a disk."""
    away = cv2.distanceTransform((~boundary).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= reach)
