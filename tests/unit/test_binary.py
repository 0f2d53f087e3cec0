"""The mask as alpha: exact, at source resolution, visible frames only."""

from __future__ import annotations

import numpy as np

from mav_pipeline.matting.binary import BinaryBackend
from mav_pipeline.matting.blocks import BLOCK
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, Masklet, Seams, WorkingSize
from mav_pipeline.schema.interfaces import MattingBackend


def _clip(visible: list[bool]) -> tuple[Clip, np.ndarray]:
    """A clip of 50 x 40 sources with a moving box, whose working frames are of no use."""
    masks = np.zeros((len(visible), 40, 50), np.bool_)
    for index, shown in enumerate(visible):
        masks[index, 5:20, index : index + 10] = shown
    masklet = Masklet("manual_000", 0, "manual", tuple(encode_rle(mask) for mask in masks))
    size = WorkingSize(4, 5, 8, 8)
    indices = tuple(range(0, 4 * len(visible), 4))
    clip = Clip("sav_000001", 50, 40, 24.0, indices, None, (masklet,), size)
    return clip, masks


def test_alpha_is_the_mask_at_source_resolution() -> None:
    visible = [False, True, True, False] + [True] * (BLOCK + 3)
    clip, masks = _clip(visible)
    backend: MattingBackend = BinaryBackend()
    backend.setup()
    blocks = list(backend.matte(clip, iter(()), clip.masklets))
    assert [(block.start, len(block.alpha)) for block in blocks] == [(1, 2), (4, 4), (8, 7)]
    for block in blocks:
        assert block.size == source_size(40, 50)
        assert block.note is None
        expected = masks[block.start : block.start + len(block.alpha)].astype(np.uint8) * 255
        np.testing.assert_array_equal(block.alpha, expected)
    backend.close()


def test_it_depends_on_nothing_beyond_the_config() -> None:
    backend = BinaryBackend()
    clip, _ = _clip([True])
    assert backend.multiple == 1
    assert backend.identity() == {}
    assert backend.seams(clip.masklets[0]) == Seams()
