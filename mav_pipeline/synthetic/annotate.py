"""Draws what an annotator would of known alphas, and writes it down as SA-V does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from pycocotools import mask as coco

from mav_pipeline.schema import Mask
from mav_pipeline.synthetic.scene import FPS, ClipPlan
from mav_pipeline.synthetic.texture import Plane

# COCO's areas in pixels, and by its looks those of SA-V: below the first small, the second medium.
SMALL, MEDIUM = 32**2, 96**2


@dataclass(frozen=True, slots=True)
class Drawing:
    """One object on one annotated frame.

    Attributes:
        mask: (H, W) as drawn.
        stability: IoU of the masks at a higher and a lower threshold, in [0, 1], as SAM has it.
    """

    mask: Mask
    stability: float


def draw(cover: Plane, unit: float, *, careful: bool) -> Drawing:
    """The mask of one object.

    Args:
        cover: (H, W) in [0, 1], how much of a pixel is the visible object.
        unit: ``ClipPlan.unit``.
        careful: as a person draws, losing single strands; else coarser, as a tracker does.
    """
    mask = (cover >= 0.5).astype(np.uint8)
    if not mask.any():
        return Drawing(mask.view(np.bool_), 1.0)
    size = (5 if careful else 9) if unit >= 0.7 else (3 if careful else 5)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    left, top, width, height = cv2.boundingRect(mask)
    near = slice(max(0, top - 16), top + height + 16), slice(max(0, left - 16), left + width + 16)
    part = cv2.medianBlur(np.ascontiguousarray(mask[near]), size)
    for step in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        part = cv2.morphologyEx(part, step, brush)
    mask[near] = part
    return Drawing(mask.view(np.bool_), _stability(cover))


def follow(alpha: Plane, cover: Plane, unit: float) -> Drawing:
    """The mask of one object that keeps its fine structure: alpha at one half.

    Where motion leaves less than half of the object above that, nobody can follow it: its cover is
    drawn there, carefully.

    Args:
        alpha: (H, W) in [0, 1], visible.
    """
    mask = alpha >= 0.5
    if np.count_nonzero(mask) < 0.5 * alpha.sum():
        return draw(cover, unit, careful=True)
    return Drawing(mask, _stability(alpha))


def _stability(cover: Plane) -> float:
    sure, perhaps = np.count_nonzero(cover >= 0.6), np.count_nonzero(cover >= 0.4)
    return sure / perhaps if perhaps else 1.0


def annotation(
    plan: ClipPlan, kind: Literal["manual", "auto"], drawings: Sequence[Sequence[Drawing]]
) -> dict[str, Any]:
    """The content of ``{video_id}_{kind}.json``, with SA-V's keys in SA-V's order.

    Args:
        drawings: [annotated frame][object].
    """
    pixels = plan.height * plan.width
    areas = np.array([[np.count_nonzero(d.mask) for d in row] for row in drawings])
    seen = areas > 0
    frames, number = areas.shape
    # Means over the frames on which the object is seen.
    mean = areas.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    # An object that is never seen appears after the last frame, as in the data set's cut clips.
    first = np.where(seen.any(axis=0), seen.argmax(axis=0), frames)
    manual = kind == "manual"
    return {
        "video_id": plan.video_id,
        "video_duration": plan.frames / FPS,
        "video_frame_count": float(plan.frames),
        "video_height": float(plan.height),
        "video_width": float(plan.width),
        "video_resolution": float(pixels),
        "video_environment": plan.environment,
        "video_split": "train",
        "masklet": [[_rle(drawing.mask) for drawing in row] for row in drawings],
        "masklet_id": list(range(number)),
        "masklet_size_rel": (mean / pixels).tolist(),
        "masklet_size_abs": mean.tolist(),
        "masklet_size_bucket": [_bucket(area) for area in mean],
        "masklet_visibility_changes": np.count_nonzero(np.diff(seen, axis=0), axis=0).tolist(),
        "masklet_first_appeared_frame": (first.astype(float) if manual else first).tolist(),
        "masklet_frame_count": [frames] * number,
        "masklet_edited_frame_count": [frames if manual else 0] * number,
        "masklet_type": [kind] * number,
        "masklet_stability_score": [None] * number
        if manual
        else [[drawing.stability for drawing in row] for row in drawings],
        "masklet_num": number,
    }


def _rle(mask: Mask) -> dict[str, Any]:
    """COCO's compressed run lengths; unlike ``masks.encode_rle`` also of an empty mask."""
    rle = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}


def _bucket(area: float) -> str:
    return "small" if area < SMALL else "medium" if area < MEDIUM else "large"
