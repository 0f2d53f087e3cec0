"""No-reference scores of a matte, and the gates that judge them. Pure.

Scores look at the stored 8-bit alpha at source resolution, inside a box around the mask. None of
them needs the truth, and none is agreement with the mask alone: a matte that carves leaves out of
a blob mask is a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.config import QualityConfig
from mav_pipeline.masks import decode_rle, rle_box
from mav_pipeline.schema import SCORES, AlphaFrame, Mask, Rle, Seams, Verdict

_REACH = 0.05  # half width of the border zone / sqrt(object area), both inwards and outwards
_REACH_PX = (3, 32)  # its bounds: below, a mask's own error; above, a zone that swallows detail
_DIGITS = 6  # scores are rounded so that equal mattes give equal rows

_T = TypeVar("_T", bound=np.generic)
Box = tuple[int, int, int, int]  # top, left, bottom, right, end exclusive


@dataclass(slots=True)
class Scorer:
    """Gathers one masklet's scores frame by frame; holds no more than the last frame.

    Args:
        full: also compare each frame with the one before (flicker, seams).
    """

    full: bool
    _sums: dict[str, float] = field(default_factory=dict)
    _deltas: dict[int, float] = field(default_factory=dict)
    _moves: list[float] = field(default_factory=list)
    _areas: list[float] = field(default_factory=list)
    _last: tuple[int, AlphaFrame, Mask, Box, tuple[float, float]] | None = None

    def add(self, index: int, alpha: AlphaFrame, rle: Rle) -> None:
        """Looks at one visible frame: (H, W) alpha at source resolution and its mask."""
        mask = decode_rle(rle)
        box = _grow(rle_box(rle), _reach(rle.area), mask.shape)
        self._single(alpha, mask, box, rle.area)
        centre = _centre(mask, box)
        if self._last is not None and self._last[0] == index - 1:
            self._pair(index, alpha, mask, box)
            step = float(np.hypot(*np.subtract(centre, self._last[4])))
            self._moves.append(step / float(np.sqrt(rle.area)))
        self._areas.append(rle.area / mask.size)
        self._last = (index, alpha, mask, box, centre)

    def _single(self, alpha: AlphaFrame, mask: Mask, box: Box, area: int) -> None:
        inner, shown = _crop(alpha, box), _crop(mask, box)
        zone = np.ones((2 * _reach(area) + 1,) * 2, np.uint8)
        bits = shown.view(np.uint8)
        wide = cv2.dilate(bits, zone).view(np.bool_)
        core = cv2.erode(bits, zone, borderType=cv2.BORDER_REPLICATE).view(np.bool_)
        total, beyond_box = _sum(alpha), 0
        if total > _sum(inner):
            beyond_box = int(np.count_nonzero(alpha > 127)) - int(np.count_nonzero(inner > 127))
        solid = inner > 127
        both = int(np.count_nonzero(solid & shown))
        cores = int(np.count_nonzero(core))
        self._count(
            alpha=total,
            outside=total - _sum(inner, wide),
            core=cores,
            core_loss=cores * 255 - _sum(inner, core),
            mask=area,
            both=both,
            either=area + int(np.count_nonzero(solid)) + beyond_box - both,
            border=int(np.count_nonzero(wide)) - cores,
            soft=int(np.count_nonzero((inner > 12) & (inner < 243) & wide & ~core)),
        )

    def _pair(self, index: int, alpha: AlphaFrame, mask: Mask, box: Box) -> None:
        if not self.full:
            return
        assert self._last is not None
        _, alpha_before, mask_before, box_before, _ = self._last
        union = (*np.minimum(box, box_before)[:2], *np.maximum(box, box_before)[2:])
        now, then = _crop(alpha, union), _crop(alpha_before, union)
        self._deltas[index] = cv2.norm(now, then, cv2.NORM_L1)
        # What of alpha the mask does not make, now and then; its change is what the eye sees.
        rest, rest_before = (
            cv2.subtract(part, _crop(shown, union).view(np.uint8) * np.uint8(255), dtype=cv2.CV_16S)
            for part, shown in ((now, mask), (then, mask_before))
        )
        self._count(unexplained=cv2.norm(rest, rest_before, cv2.NORM_L1), moved=_sum(alpha))

    def _count(self, **values: float) -> None:
        for key, value in values.items():
            self._sums[key] = self._sums.get(key, 0.0) + value

    def scores(self, seams: Seams) -> dict[str, float | None]:
        """All of ``SCORES``; None where a score has nothing to look at.

        - outside_mass [0, 1]: share of the alpha that lies beyond the dilated mask. A matte that
          leaks. FACTS: at most .025 on the VideoMaMa authors' good clips.
        - core_loss [0, 1]: mean 1 - alpha inside the eroded mask. A matte with holes.
        - area_ratio >= 0: sum of alpha over area of the mask.
        - mask_iou [0, 1]: intersection over union of alpha >= .5 with the mask.
        - softness [0, 1]: share of the border zone with alpha in (.05, .95).
        - flicker >= 0: change of alpha from frame to frame that the mask does not make, over alpha.
        - seam_ratio >= 0: mean |delta alpha| at window borders over that at no border at all.
        - chunk_seam_ratio >= 0: the same at the borders of decode chunks.
        """
        s = self._sums
        values = {
            "outside_mass": _ratio(s, "outside", "alpha"),
            "core_loss": _ratio(s, "core_loss", "core", 255),
            "area_ratio": _ratio(s, "alpha", "mask", 255),
            "mask_iou": _ratio(s, "both", "either"),
            "softness": _ratio(s, "soft", "border"),
            "flicker": _ratio(s, "unexplained", "moved") if self.full else None,
            "seam_ratio": _seam_ratio(self._deltas, seams.windows, seams),
            "chunk_seam_ratio": _seam_ratio(self._deltas, seams.chunks, seams),
        }
        return {key: _rounded(values[key]) for key in SCORES}

    @property
    def motion(self) -> float | None:
        """Mean path of the mask's centre from frame to frame, in units of sqrt(area)."""
        return _rounded(float(np.mean(self._moves)) if self._moves else None)

    @property
    def mean_area(self) -> float | None:
        """Mean share of the frame that the mask covers, on visible frames."""
        return _rounded(float(np.mean(self._areas)) if self._areas else None)


def judge(scores: Mapping[str, float | None], gates: QualityConfig) -> Verdict:
    """Accepts or rejects a matte; a score that is None passes its gate."""
    limits = (
        ("outside_mass", "outside_mass", None, gates.max_outside_mass),
        ("core_loss", "core_loss", None, gates.max_core_loss),
        ("area_ratio", "area_ratio_low", gates.min_area_ratio, None),
        ("area_ratio", "area_ratio_high", None, gates.max_area_ratio),
        ("flicker", "flicker", None, gates.max_flicker),
    )
    reasons = tuple(
        reason
        for score, reason, low, high in limits
        if (value := scores[score]) is not None
        and ((low is not None and value < low) or (high is not None and value > high))
    )
    rejected = bool(reasons) and gates.enabled
    return Verdict("rejected" if rejected else "accepted", reasons if rejected else (), scores)


def _reach(area: int) -> int:
    return int(np.clip(round(_REACH * float(np.sqrt(area))), *_REACH_PX))


def _grow(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    top, left, bottom, right = box
    return (
        max(0, top - by),
        max(0, left - by),
        min(shape[0], bottom + by),
        min(shape[1], right + by),
    )


def _crop(array: NDArray[_T], box: Box) -> NDArray[_T]:
    return np.ascontiguousarray(array[box[0] : box[2], box[1] : box[3]])


def _centre(mask: Mask, box: Box) -> tuple[float, float]:
    moments = cv2.moments(_crop(mask, box).view(np.uint8), binaryImage=True)
    mass = moments["m00"]
    return moments["m10"] / mass + box[1], moments["m01"] / mass + box[0]


def _sum(alpha: AlphaFrame, where: Mask | None = None) -> int:
    """Sum of alpha; cv2 does it in a third of numpy's time."""
    if where is None:
        return int(cv2.sumElems(alpha)[0])
    return int(cv2.sumElems(cv2.bitwise_and(alpha, alpha, mask=where.view(np.uint8)))[0])


def _ratio(sums: Mapping[str, float], part: str, whole: str, unit: float = 1) -> float | None:
    below = sums.get(whole, 0.0) * unit
    return sums.get(part, 0.0) / below if below else None


def _seam_ratio(
    deltas: Mapping[int, float], borders: tuple[int, ...], seams: Seams
) -> float | None:
    at = [value for index, value in deltas.items() if index in borders]
    anywhere = {*seams.windows, *seams.chunks}
    inside = [value for index, value in deltas.items() if index not in anywhere]
    if not at or not inside or not sum(inside):
        return None
    return float(np.mean(at) / np.mean(inside))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
