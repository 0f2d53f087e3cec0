"""Every score of a matte: what it means, its range, what it needs, how it is drawn.

Columns of the manifest, the keys of a sample's scores, charts and docs are made from this table;
``quality.scorer`` computes a value for each name in it. Of symbols: the zone is what lies near an
edge of matte or mask, F and B the mean colours of object and background around a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Of how scores are computed; see ``version``. Raised by whatever moves a score that exists.
SCORER_REVISION = 2


@dataclass(frozen=True, slots=True)
class Score:
    """One score.

    Attributes:
        meaning: one line, for columns and charts.
        low, high: bounds of its values; None where there is none.
        needs: what it looks at: ``alpha`` of a frame, alpha over ``time``, or the ``picture`` too.
        basic: whether ``quality.scores=basic`` has it; the others cost more.
        axis: of its histogram: the ``whole`` range up to 1, or ``fitted`` to the values.
        since: the format that first had it.
    """

    name: str
    meaning: str
    low: float | None = 0.0
    high: float | None = None
    needs: Literal["alpha", "time", "picture"] = "picture"
    basic: bool = False
    axis: Literal["whole", "fitted"] = "fitted"
    since: int = 1


SCORES = (
    Score(
        "outside_mass",
        "share of the alpha that lies beyond the dilated mask, in [0, 1]: it leaks",
        high=1.0,
        needs="alpha",
        basic=True,
    ),
    Score(
        "core_loss",
        "mean 1 - alpha inside the eroded mask, in [0, 1]: it has holes",
        high=1.0,
        needs="alpha",
        basic=True,
    ),
    Score("area_ratio", "sum of alpha / area of the mask", needs="alpha", basic=True),
    Score(
        "mask_iou",
        "intersection over union of alpha >= .5 with the mask, pooled over the frames of the clip, "
        "in [0, 1]: frames on which the object is large weigh more",
        high=1.0,
        needs="alpha",
        basic=True,
        axis="whole",
    ),
    Score(
        "mask_j",
        "the same frame by frame, mean over annotated frames, in [0, 1]: the J of segmentation; "
        "empty against empty is 1",
        high=1.0,
        needs="alpha",
        basic=True,
        axis="whole",
        since=2,
    ),
    Score(
        "softness",
        "share of the border zone with alpha in (.05, .95)",
        high=1.0,
        needs="alpha",
        basic=True,
        axis="whole",
    ),
    Score(
        "flicker",
        "change of alpha from frame to frame that the mask does not make / alpha",
        needs="time",
    ),
    Score(
        "seam_ratio",
        "mean change of alpha at borders of windows / at no border; null without windows",
        needs="time",
    ),
    Score("chunk_seam_ratio", "the same at borders of decode chunks", needs="time"),
    Score(
        "visibility",
        "share of visible frames whose alpha is a tenth of the mask or more",
        high=1.0,
        needs="alpha",
        basic=True,
        axis="whole",
    ),
    Score(
        "lost_share",
        "lost_frames / (visible frames and those lost without a mask), in [0, 1]",
        high=1.0,
        axis="whole",
        since=2,
    ),
    Score(
        "truncation",
        "solid alpha on the frame's border, in perimeters of a square as large",
        needs="alpha",
        basic=True,
    ),
    Score(
        "area_jitter",
        "mean change of area_ratio from frame to frame / its size: frames drop or pulse",
        high=1.0,
        needs="time",
    ),
    Score("speckle", "share of alpha that a 3 x 3 median changes: noise", high=1.0, needs="alpha"),
    Score("band_width", "integral of 4 a (1 - a) across the edge / sqrt(object area)"),
    Score(
        "band_entropy",
        "mean binary entropy of alpha near edges, in [0, 1]",
        high=1.0,
        axis="whole",
    ),
    Score(
        "edge_alignment",
        "correlation of the gradients of alpha and of the alpha that object and background colours "
        "give, in [-1, 1]: 1 where every edge is one of the picture",
        low=-1.0,
        high=1.0,
        axis="whole",
    ),
    Score(
        "edge_gain",
        "slope of the latter on the former: above 1 alpha is blurred, below too hard",
        low=None,
    ),
    Score("colour_over", "alpha above what the colours explain / alpha: background taken in"),
    Score("colour_under", "alpha below what the colours explain / alpha: object left out"),
    Score("compositing", "mean |I - a F - (1 - a) B| near edges / mean |F - B|"),
    Score(
        "sampled_over",
        "alpha above what single colours of object and background nearby explain, at source "
        "resolution / alpha: background taken in",
        since=2,
    ),
    Score("sampled_under", "alpha below it / alpha: object left out", since=2),
    Score(
        "sampled_mismatch",
        "1 - correlation of alpha and the alpha that single colours give, times zone / alpha",
        since=2,
    ),
    Score(
        "sampled_blur",
        "slope of the latter on the former above 1, times zone / alpha: alpha is too soft",
        since=2,
    ),
    Score(
        "sampled_detail",
        "as sampled_mismatch, of what both change by from a pixel to the next: detail missed",
        since=2,
    ),
    Score("sampled_smear", "as sampled_blur, of the same changes: detail blurred", since=2),
    Score(
        "sampled_doubt",
        "spread of the alpha that single colours give, where the mask is sure, over the zone / "
        "alpha",
        since=2,
    ),
    Score(
        "expected_error",
        "error that the traits of single pixels lead to expect, in and around the object / alpha",
        since=2,
    ),
    Score("motion_flicker", "change of alpha along the optical flow where colours agree / alpha"),
    Score("sharpness", "mean |Laplacian| / mean |gradient| of the picture near edges"),
    Score(
        "quality",
        "estimate of how right the matte is, in [0, 1]; null without full scores",
        high=1.0,
        axis="whole",
    ),
)

SCORE_NAMES = tuple(score.name for score in SCORES)
SCORE = {score.name: score for score in SCORES}
