"""Poor masks are still masks of their object, and a degraded corpus differs in nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ablations.point import Ablation, degrade
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.schema import Masks
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.synthetic.degrade import DEGRADATIONS
from tests.fakes import moving_box, write_clip

CLIP = "sav_000001"


def discs() -> Masks:
    y, x = np.mgrid[:288, :512]
    masks = np.stack([np.hypot(y - 140, x - 200 - t) < 80 + t % 3 for t in range(12)])
    masks[4] = False
    return masks


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_poor_masks_are_still_masks_of_the_object(name: str) -> None:
    masks = discs()
    before = masks.copy()
    poor = DEGRADATIONS[name](masks)
    assert (poor.shape, poor.dtype) == (masks.shape, np.bool_)
    assert (masks == before).all()
    assert not (poor == masks).all()
    for mask, other in zip(masks, poor, strict=True):
        assert not other.any() or (mask & other).sum() / (mask | other).sum() > 0.3


def test_coarser_is_poorer() -> None:
    def error(name: str) -> int:
        return int((DEGRADATIONS[name](discs()) ^ discs()).sum())

    for fine, coarse in (("down8", "down32"), ("poly.005", "poly.02"), ("lost.1", "lost.3")):
        assert 0 < error(fine) < error(coarse)


def test_lost_frames_are_whole_frames_and_never_the_first() -> None:
    for name, kept in (("lost.1", 10), ("lost.3", 7)):
        poor = DEGRADATIONS[name](discs())
        same = [bool((a == b).all()) for a, b in zip(poor, discs(), strict=True)]
        assert poor[0].any()
        assert sum(mask.any() for mask in poor) == kept
        assert all(ok or not mask.any() for ok, mask in zip(same, poor, strict=True))


def test_a_twin_has_other_masks_and_all_else_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "twin"
    masks = moving_box(12)
    masks[5] = False
    video = write_clip(source / "sav_000", CLIP, {0: masks, 3: moving_box(12, top=30)})
    degrade(source, target, "lost.3")
    twin = target / "sav_000" / video.name
    assert twin.read_bytes() == video.read_bytes()
    name = f"{CLIP}_manual.json"
    was, now = (json.loads((p.with_name(name)).read_text()) for p in (video, twin))
    frames, twins = was.pop("masklet"), now.pop("masklet")
    assert was == now
    shape = masks.shape[1:]
    for index, (row, other) in enumerate(zip(frames, twins, strict=True)):
        rles = [parse_rle(rle, *shape, role="manual") for rle in row]
        found = [parse_rle(rle, *shape, role="manual") for rle in other]
        if index % 3 == 2:
            assert found == [None, None]
        else:
            assert [r and decode_rle(r).sum() for r in found] == [
                r and decode_rle(r).sum() for r in rles
            ]


def test_settings_that_make_no_sense_are_refused() -> None:
    known = {"name": "masks", "root": "r", "source": None, "gt": None}
    with pytest.raises(ConfigError, match=r"ablate\.masks=down9: .*did you mean 'down8'"):
        Ablation(**known, masks="down9")
    with pytest.raises(ConfigError, match=r"ablate\.gt are given together"):
        Ablation(**{**known, "gt": "there"}, masks="none")
