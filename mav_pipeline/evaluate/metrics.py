"""The metrics that there are, and gathering those of one masklet frame by frame. Pure.

    (alpha, truth) of a frame -> formulas, overlap -> MetricSums: a sum and a count a metric

What each equals, and which published tables it may be held to, stands in ``docs/quality.md``, made
from ``METRICS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.evaluate import formulas
from mav_pipeline.evaluate.overlap import OverlapSums
from mav_pipeline.schema import AlphaFrame


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a masklet.

    Attributes:
        name: in the json and ``metrics.csv``.
        title: for people.
        about: what it is, of d = alpha - truth in [0, 1].
        better: which way.
        equals: whose script gives the same number, within 1e-6.
        tables: published ones that it may be held to.
    """

    name: str
    title: str
    about: str
    better: Literal["less", "more"]
    equals: str
    tables: str


_BOTH = "evaluate_hr.py and evaluate_lr.py of RVM, and MatAnyone's two"
_LR = "evaluate_lr.py of RVM, and MatAnyone's low-resolution script"
_SAV = "the per-frame class of SA-V's evaluator"
_VIDEO = "RVM's, MatAnyone's, VideoMaMa's"
_LOW = "RVM's and MatAnyone's of 512x288"
_HIGH = "RVM's and MatAnyone's of 1920x1080"
_VOS = "those of DAVIS and SA-V that count every frame"

#: By name, in the order in which they are printed.
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mad", "MAD", "mean abs d x 1e3", "less", _BOTH, _VIDEO),
        Metric(
            *("mad_t", "MAD-T", "the same where truth 0 and 1, eroded, leave doubt", "less"),
            *("no published script", "VideoMaMa's, as far as its words go"),
        ),
        Metric("mse", "MSE", "mean d^2 x 1e3", "less", _BOTH, _VIDEO),
        Metric(
            *("grad", "Grad", "sum of squared differences of gradients / 1000", "less"),
            *("evaluate_hr.py of RVM, and MatAnyone's high-resolution script", _HIGH),
        ),
        Metric(
            *("grad_lr", "Grad_lr", "the same, each frame first stretched to [0, 1]", "less"),
            *(_LR, _LOW),
        ),
        Metric("conn", "Conn", "connectivity error / 1000", "less", _LR, _LOW),
        Metric(
            *("dtssd", "dtSSD", "mean over frames of rms change of d x 1e2, 0 for the first"),
            *("less", _BOTH, "RVM's and MatAnyone's"),
        ),
        Metric(
            *("dtssd_pairs", "dtSSD_pairs", "the same, mean over pairs of frames", "less"),
            *("no published script: dtSSD x n / (n - 1) on n frames", "none"),
        ),
        Metric("j", "J", "intersection over union at .5, percent", "more", _SAV, _VOS),
        Metric("f", "F", "agreement of boundaries at .5, percent", "more", _SAV, _VOS),
        Metric("jf", "J&F", "mean of J and F", "more", _SAV, _VOS),
    )
}


@dataclass(slots=True)
class MetricSums:
    """Gathers one masklet's metrics frame by frame; holds no more than the last frame.

    A metric of a masklet is the mean over its frames, but:

    - of dtssd_pairs over pairs of neighbouring frames, and dtssd counts one frame more, with 0;
    - of mad_t over the frames that leave doubt;
    - of j, f and jf over those from the first on which alpha or truth is above one half anywhere.
      There are none where the truth never is.

    Attributes:
        sums, counts: by metric, of what the mean is made of, so that masklets can be joined.
        frames: how many were added.
    """

    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(METRICS, 0.0))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METRICS, 0))
    frames: int = 0
    _last: tuple[int, NDArray[np.int16]] | None = None
    _overlap: OverlapSums = field(default_factory=OverlapSums)

    def add(self, index: int, alpha: AlphaFrame, truth: AlphaFrame) -> None:
        """Compares one (H, W) frame; ``index`` ascends, and a gap in it parts a pair of frames."""
        self._count("mad", formulas.mad(alpha, truth))
        self._count("mad_t", formulas.mad_t(alpha, truth))
        self._count("mse", formulas.mse(alpha, truth))
        self._count("grad", grad := formulas.grad(alpha, truth))
        self._count("grad_lr", formulas.grad_lr(alpha, truth, grad))
        self._count("conn", formulas.conn(alpha, truth))
        difference = np.asarray(cv2.subtract(alpha, truth, dtype=cv2.CV_16S), dtype=np.int16)
        if self._last is not None and self._last[0] == index - 1:
            change = formulas.dtssd(difference, self._last[1])
            self._count("dtssd_pairs", change)
            # The published scripts enter 0 for the first frame, which has none before it.
            self._count("dtssd", change, 1 if self.counts["dtssd"] else 2)
        self._overlap.add(alpha, truth)
        self._take_overlap()
        self.frames += 1
        self._last = (index, difference)

    def finish(self) -> Self:
        """Lets go of the last frame: no other is to come."""
        self._last = None
        return self

    def means(self) -> dict[str, float | None]:
        """All of ``METRICS``; None where there was nothing to measure."""
        return {m: self.sums[m] / self.counts[m] if self.counts[m] else None for m in METRICS}

    def _count(self, metric: str, value: float | None, frames: int = 1) -> None:
        if value is not None:
            self.sums[metric] += value
            self.counts[metric] += frames

    def _take_overlap(self) -> None:
        found = self._overlap
        if found.truth_shown:
            self.sums.update(j=found.j, f=found.f, jf=(found.j + found.f) / 2)
            self.counts.update(dict.fromkeys(("j", "f", "jf"), found.frames))
