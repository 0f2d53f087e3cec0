"""A set is read in a dozen lines, by those who did not build it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mav_pipeline
from mav_pipeline.dataset.manifest import SCHEMA
from mav_pipeline.schema.errors import ConfigError, OutputError
from tests.fakes import HEIGHT, WIDTH, level, moving_box


def test_samples_give_frames_masks_and_alpha(small_set: Path) -> None:
    data = mav_pipeline.open_set(small_set)
    samples = [*data.samples()]
    assert [sample.key for sample in samples] == ["sav_000001", "sav_000002", "sav_000003"]
    for sample in samples:
        assert sample.masklets == ("manual_000", "manual_002")
        for index, frame in zip(sample.document.frame_indices, sample.frames(), strict=True):
            assert frame.shape == (HEIGHT, WIDTH, 3)
            assert np.abs(frame.astype(int) - level(index)).max() <= 4
        masks = [*sample.masks("manual_000")]
        np.testing.assert_array_equal(masks, moving_box(3))
        alphas = [*sample.alpha("manual_000")]
        np.testing.assert_array_equal(np.array(alphas) > 127, masks)


def test_some_samples_may_be_picked(small_set: Path) -> None:
    data = mav_pipeline.open_set(small_set)
    assert [sample.key for sample in data.samples({"sav_000002"})] == ["sav_000002"]


def test_scores_are_a_table_of_all_rows(small_set: Path) -> None:
    table = mav_pipeline.open_set(small_set).scores()
    assert table.schema == SCHEMA
    assert table["status"].to_pylist().count("accepted") == 6


def test_what_is_no_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no build"):
        mav_pipeline.open_set(tmp_path)
    with pytest.raises(ConfigError, match="no storage for ftp://"):
        mav_pipeline.open_set("ftp://somewhere")


def test_nothing_else_is_public() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_sets'"):
        _ = mav_pipeline.open_sets  # type: ignore[attr-defined]
