"""VideoMaMa's layout: no window of a sequence lacks its object; the table says the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.exports import built, exported, names, stored
from tests.fakes import decode_sample, level, moving_box, write_clip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one clip: an object that comes late and goes for a while, and one that is there."""
    folder = tmp_path_factory.mktemp("videomama")
    masks = moving_box(8, top=24, left=20)
    masks[[0, 1, 4, 7]] = False
    write_clip(folder / "in", "sav_000001", {3: masks, 5: moving_box(8)})
    return built(folder / "in", folder / "out")


def test_a_sequence_is_a_time_in_view(root: Path, tmp_path: Path) -> None:
    exported(root, tmp_path)
    sequences = {
        "sav_000001_manual_003_00008": [2, 3],
        "sav_000001_manual_003_00020": [5, 6],
        "sav_000001_manual_005": [*range(8)],
    }
    _, masklets = decode_sample(stored(root)["sav_000001"])
    alphas = {masklet.name: masklet.alpha for masklet in masklets}
    for kind, ending in (("image", "jpg"), ("mask", "png"), ("alpha", "png")):
        assert sorted(path.name for path in (tmp_path / kind).iterdir()) == [*sequences]
        for name, places in sequences.items():
            files = [f"{number:04d}.{ending}" for number in range(len(places))]
            assert names(tmp_path / kind / name) == files
    for name, places in sequences.items():
        for number, place in enumerate(places):
            with Image.open(tmp_path / f"alpha/{name}/{number:04d}.png") as image:
                alpha = np.asarray(image)
            assert (alpha == alphas[name[11:21]][place]).all()
            assert alpha.any()
            with Image.open(tmp_path / f"image/{name}/{number:04d}.jpg") as image:
                assert np.abs(np.asarray(image).astype(int) - level(4 * place)).max() <= 4
        about = json.loads((tmp_path / f"about/{name}.json").read_text())
        assert about["frame_indices"] == [4 * place for place in places]
        assert (about["video_id"], about["environment"]) == ("sav_000001", "Indoor")


def test_untrimmed_the_table_lists_where_it_is_seen(root: Path, tmp_path: Path) -> None:
    exported(root, tmp_path / "whole", trim=False)
    first, second = pq.read_table(tmp_path / "whole/metadata.parquet").to_pylist()
    assert (first["num_frames"], first["composite_path"]) == (8, "image/sav_000001_manual_003")
    assert first["visible"] == [[2, 4], [5, 7]]
    assert second["visible"] == [[0, 8]]
    assert len(names(tmp_path / "whole/alpha/sav_000001_manual_003")) == 8
    exported(root, tmp_path / "trimmed")
    table = pq.read_table(tmp_path / "trimmed/metadata.parquet").to_pylist()
    assert [row["frame_indices"] for row in table] == [[8, 12], [20, 24], [*range(0, 32, 4)]]
    assert [row["visible"] for row in table] == [[[0, 2]], [[0, 2]], [[0, 8]]]
