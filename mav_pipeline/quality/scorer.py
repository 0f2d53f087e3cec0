"""Gathers one masklet's scores, frame by frame. Pure.

Scores look at the stored 8-bit alpha at source resolution and at the picture under it, inside a
box around the mask. None of them needs the truth, and none is agreement with the mask alone: a
matte that carves leaves out of a blob mask is a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from mav_pipeline.media.masks import decode_rle, rle_box
from mav_pipeline.quality import motion, picture, sampling
from mav_pipeline.quality.lost import LostFrames
from mav_pipeline.quality.region import Box, crop, grow, margin, reach, view
from mav_pipeline.quality.rule import quality
from mav_pipeline.schema import SCORE_NAMES, AlphaFrame, Frame, Mask, Rle, Seams

_DIGITS = 6  # scores are rounded so that equal mattes give equal rows
_EVERY = 3  # pictures are looked at on the first and every third frame: they cost most
_SHOWN = 0.1  # a matte of less than this share of its mask does not show the object


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the next frame is compared with."""

    index: int
    alpha: AlphaFrame
    mask: Mask
    box: Box
    centre: tuple[float, float]
    total: int
    ratio: float
    frame: Frame | None


@dataclass(slots=True)
class Scorer:
    """Gathers one masklet's scores frame by frame; holds no more than the last frame.

    Args:
        full: also look at the picture and compare each frame with the one before.
        keep: receives what was seen at single points, by frame; to fit ``expected`` to.
    """

    full: bool
    keep: list[tuple[int, sampling.Look]] | None = None
    _sums: dict[str, float] = field(default_factory=dict)
    _deltas: dict[int, float] = field(default_factory=dict)
    _moves: list[float] = field(default_factory=list)
    _areas: list[float] = field(default_factory=list)
    _hidden: set[int] = field(default_factory=set)  # frames that show a mask and no alpha
    _last: _Seen | None = None

    def add(self, index: int, alpha: AlphaFrame, rle: Rle, frame: Frame | None = None) -> None:
        """Looks at one visible frame.

        Args:
            index: into ``Clip.frame_indices``.
            alpha: (H, W) at source resolution.
            frame: (h, w, 3), the whole picture at any size; without one, or for basic scores,
                the scores of pictures are None.
        """
        mask = decode_rle(rle)
        box = grow(rle_box(rle), reach(rle.area), mask.shape)
        shown = crop(mask, box)
        total = self._single(alpha, shown, box, rle.area)
        ratio = total / (255 * rle.area)
        if ratio < _SHOWN:
            self._hidden.add(index)
        seen = _Seen(index, alpha, mask, box, motion.centre(shown, box), total, ratio, frame)
        before = self._last
        if before is not None and before.index == index - 1:
            self._pair(before, seen)
            step = float(np.hypot(*np.subtract(seen.centre, before.centre)))
            self._moves.append(step / float(np.sqrt(rle.area)))
        else:
            before = None
        if self.full and len(self._areas) % _EVERY == 0:
            self._look(seen, before, rle)
        self._areas.append(rle.area / mask.size)
        self._last = seen

    def _single(self, alpha: AlphaFrame, shown: Mask, box: Box, area: int) -> int:
        inner = crop(alpha, box)
        zone = np.ones((2 * reach(area) + 1,) * 2, np.uint8)
        bits = shown.view(np.uint8)
        wide = cv2.dilate(bits, zone).view(np.bool_)
        core = cv2.erode(bits, zone, borderType=cv2.BORDER_REPLICATE).view(np.bool_)
        total, beyond_box = _sum(alpha), 0
        if total > _sum(inner):
            beyond_box = int(np.count_nonzero(alpha > 127)) - int(np.count_nonzero(inner > 127))
        solid = inner > 127
        both = int(np.count_nonzero(solid & shown))
        cores = int(np.count_nonzero(core))
        either = area + int(np.count_nonzero(solid)) + beyond_box - both
        edges = (alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1])
        self._count(
            alpha=total,
            outside=total - _sum(inner, wide),
            core=cores,
            core_loss=cores * 255 - _sum(inner, core),
            mask=area,
            both=both,
            either=either,
            overlap=both / either,
            border=int(np.count_nonzero(wide)) - cores,
            soft=int(np.count_nonzero((inner > 12) & (inner < 243) & wide & ~core)),
            frames=1,
            shown=total >= _SHOWN * 255 * area,
            cut=sum(float(np.count_nonzero(edge > 127)) for edge in edges),
            side=float(np.sqrt(area)),
        )
        return total

    def _pair(self, before: _Seen, now: _Seen) -> None:
        if not self.full:
            return
        union = (*np.minimum(now.box, before.box)[:2], *np.maximum(now.box, before.box)[2:])
        alpha, alpha_before = crop(now.alpha, union), crop(before.alpha, union)
        self._deltas[now.index] = cv2.norm(alpha, alpha_before, cv2.NORM_L1)
        # What of alpha the mask does not make, now and then; its change is what the eye sees.
        rest, rest_before = (
            cv2.subtract(part, crop(mask, union).view(np.uint8) * np.uint8(255), dtype=cv2.CV_16S)
            for part, mask in ((alpha, now.mask), (alpha_before, before.mask))
        )
        self._count(
            unexplained=cv2.norm(rest, rest_before, cv2.NORM_L1),
            moved=now.total,
            jumps=abs(now.ratio - before.ratio),
            jumping=max(now.ratio, before.ratio),
        )

    def _look(self, now: _Seen, before: _Seen | None, rle: Rle) -> None:
        box = grow(rle_box(rle), margin(rle.area), now.mask.shape)
        whole = crop(now.alpha, box)
        median = cv2.medianBlur(whole, 3)
        self._count(speckle=cv2.norm(whole, median, cv2.NORM_L1), around=_sum(whole))
        if now.frame is None:
            return
        seen = view(now.alpha, now.mask, rle.area, now.frame, box)
        self._count(looks=1, **picture.measure(seen))
        near = sampling.patch(now.alpha, now.mask, now.frame, box)
        sums, look = sampling.measure(near, box, seed=now.index)
        self._count(**sums)
        if look is not None and self.keep is not None:
            self.keep.append((now.index, look))
        if before is not None and before.frame is not None:
            step = np.subtract(now.centre, before.centre)
            shift = (round(float(step[0])), round(float(step[1])))
            found = motion.compensated(seen, now.mask.shape, before.alpha, before.frame, shift)
            self._count(**found)

    def _count(self, **values: float) -> None:
        for key, value in values.items():
            self._sums[key] = self._sums.get(key, 0.0) + value

    def let_go(self) -> None:
        """No frame comes any more: the last one need not be held."""
        self._last = None

    def lost_frames(self, lost: LostFrames | None) -> int | None:
        """Frames that show the object and have next to no mask, or next to no alpha of it."""
        return None if lost is None else len(lost.gone) + len(lost.crumbs | self._hidden)

    def scores(
        self, seams: Seams, absent: int = 0, ghosts: int = 0, lost: LostFrames | None = None
    ) -> dict[str, float | None]:
        """All of ``schema.SCORES``, which says what each means; None where one sees nothing.

        Args:
            absent: annotated frames on which the object is not seen, nor alpha shows one.
            ghosts: annotated frames on which it is not seen and alpha shows one.
            lost: where its object was lost; without it ``lost_share`` is None.
        """
        s, unseen = self._sums, absent + ghosts
        values = {
            "outside_mass": _ratio(s, "outside", "alpha"),
            "core_loss": _ratio(s, "core_loss", "core", 255),
            "area_ratio": _ratio(s, "alpha", "mask", 255),
            "mask_iou": _ratio(s, "both", "either"),
            "mask_j": (s["overlap"] + absent) / (s["frames"] + unseen) if "frames" in s else None,
            "softness": _ratio(s, "soft", "border"),
            "flicker": _ratio(s, "unexplained", "moved"),
            "seam_ratio": _seam_ratio(self._deltas, seams.windows, seams),
            "chunk_seam_ratio": _seam_ratio(self._deltas, seams.chunks, seams),
            "visibility": _ratio(s, "shown", "frames"),
            "truncation": _ratio(s, "cut", "side", 4),
            "lost_share": self._lost_share(lost),
            "area_jitter": _ratio(s, "jumps", "jumping"),
            "speckle": _ratio(s, "speckle", "around"),
            "band_width": _ratio(s, "band", "outline"),
            "band_entropy": _ratio(s, "entropy", "zone"),
            "edge_alignment": _alignment(s),
            "edge_gain": _ratio(s, "along", "own"),
            "colour_over": _ratio(s, "over", "seen_alpha"),
            "colour_under": _ratio(s, "under", "seen_alpha"),
            "compositing": _ratio(s, "residual", "distance"),
            **_sampled(s),
            "motion_flicker": _ratio(s, "warp_change", "warp_alpha"),
            "sharpness": _ratio(s, "fine", "coarse"),
        }
        found = {key: _rounded(value) for key, value in values.items()}
        found["quality"] = _rounded(quality(found)) if "looks" in s else None
        return {name: found[name] for name in SCORE_NAMES}

    def _lost_share(self, lost: LostFrames | None) -> float | None:
        count = self.lost_frames(lost)
        if lost is None or count is None or not self._areas:
            return None
        return count / (len(self._areas) + len(lost.gone))

    @property
    def motion(self) -> float | None:
        """Mean path of the mask's centre from frame to frame, in units of sqrt(area)."""
        return _rounded(float(np.mean(self._moves)) if self._moves else None)

    @property
    def mean_area(self) -> float | None:
        """Mean share of the frame that the mask covers, on visible frames."""
        return _rounded(float(np.mean(self._areas)) if self._areas else None)


def _sum(alpha: AlphaFrame, where: Mask | None = None) -> int:
    """Sum of alpha; cv2 does it in a third of numpy's time."""
    if where is None:
        return int(cv2.sumElems(alpha)[0])
    return int(cv2.sumElems(cv2.bitwise_and(alpha, alpha, mask=where.view(np.uint8)))[0])


def _ratio(sums: Mapping[str, float], part: str, whole: str, unit: float = 1) -> float | None:
    below = sums.get(whole, 0.0) * unit
    return sums[part] / below if below and part in sums else None


def _alignment(sums: Mapping[str, float]) -> float | None:
    below = (sums.get("own", 0.0) * sums.get("theirs", 0.0)) ** 0.5
    return sums["along"] / below if below else None


def _sampled(sums: dict[str, float]) -> dict[str, float | None]:
    """Scores of ``sampling``, all as a share of alpha: what an error is measured in."""
    parts = ("over", "under", "doubt")
    values = {f"sampled_{part}": _ratio(sums, f"sampled_{part}", "sampled_alpha") for part in parts}
    values["expected_error"] = _ratio(sums, "expected_error", "sampled_alpha")
    zone = _ratio(sums, "sampled_zone", "sampled_alpha")
    for names, relation in (
        (("sampled_mismatch", "sampled_blur"), sampling.relation(sums)),
        (("sampled_detail", "sampled_smear"), sampling.step_relation(sums)),
    ):
        values |= dict.fromkeys(names)
        if zone is not None and relation is not None:
            correlation, slope = relation
            values |= dict(
                zip(names, (zone * (1 - correlation), zone * max(slope - 1, 0.0)), strict=True)
            )
    return values


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
