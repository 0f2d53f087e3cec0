"""One masklet: what of its frames counts in its row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mav_pipeline.build.masklet import MaskletFinisher
from mav_pipeline.build.timing import StageTimes
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import Matte, Seams
from tests.fakes import config, memory_clip, moving_box


@pytest.mark.parametrize(
    ("seen", "annotated", "absent"),
    [
        ((True, False, False, False), None, 3),
        ((True, False, False, False), (True, True, False, True), 2),
        ((True, False, False, True), (True, False, False, True), 0),
    ],
)
def test_an_annotated_frame_without_the_object_agrees_and_others_say_nothing(
    seen: tuple[bool, ...], annotated: tuple[bool, ...] | None, absent: int
) -> None:
    (mask,) = moving_box(1)
    half = mask.astype(np.uint8) * np.uint8(255)
    half[:18] = 0  # of rows 8 to 28
    clip = memory_clip({0: moving_box(4)})
    rles = tuple(encode_rle(mask) if shown else None for shown in seen)
    masklet = replace(clip.masklets[0], rles=rles, annotated=annotated)
    finisher = MaskletFinisher(clip, masklet, config(), StageTimes())
    for place in np.flatnonzero(seen):
        finisher.add(Matte(masklet, int(place), half[None], clip.size), None)
    row = finisher.close(Seams()).judged("mav-000000", None).row
    assert row["mask_iou"] == 0.5
    assert row["mask_j"] == pytest.approx((0.5 * sum(seen) + absent) / (sum(seen) + absent))
