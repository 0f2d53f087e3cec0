"""The sample corpus: SA-V's layout, masks that a matte can beat, a truth, the same bytes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mav_pipeline.config import SampleConfig
from mav_pipeline.media.images import decode_png
from mav_pipeline.media.masks import parse_rle, run_lengths
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.synthetic import render
from mav_pipeline.synthetic.plan import plan_clip
from mav_pipeline.synthetic.scene import KINDS

PLAIN = ("hairy", "soft", "sheer", "blurred")
CONFIG = SampleConfig(root=None, clips=3, frames=18, width=128, height=96, seed=5, kinds=PLAIN)
ANNOTATED = (0, 4, 8, 12, 16)
SAV_KEYS = [
    "video_id",
    "video_duration",
    "video_frame_count",
    "video_height",
    "video_width",
    "video_resolution",
    "video_environment",
    "video_split",
    "masklet",
    "masklet_id",
    "masklet_size_rel",
    "masklet_size_abs",
    "masklet_size_bucket",
    "masklet_visibility_changes",
    "masklet_first_appeared_frame",
    "masklet_frame_count",
    "masklet_edited_frame_count",
    "masklet_type",
    "masklet_stability_score",
    "masklet_num",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample") / "corpus"
    assert render(root, CONFIG) == ["sav_000001", "sav_000002", "sav_000003"]
    return root


def small(**changes: Any) -> SampleConfig:
    settings = {"root": None, "clips": 1, "frames": 5, "width": 64, "height": 64, "seed": 0}
    settings |= {"kinds": KINDS}
    return SampleConfig(**(settings | changes))


def files(root: Path) -> dict[str, bytes]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def annotations(root: Path, kind: str) -> list[dict[str, Any]]:
    paths = sorted(root.glob(f"sav_train/sav_000/*_{kind}.json"))
    return [json.loads(path.read_text()) for path in paths]


def masks(data: dict[str, Any], masklet: int) -> np.ndarray:
    """(T, H, W) bool, through the checks that a build makes and not by who encoded them."""
    height, width = int(data["video_height"]), int(data["video_width"])
    drawn = np.zeros((len(data["masklet"]), height, width), bool)
    for i, row in enumerate(data["masklet"]):
        rle = parse_rle(row[masklet], height, width, role="manual")
        if rle is not None:
            runs = run_lengths(rle.counts)
            drawn[i] = np.repeat(np.arange(runs.size) % 2, runs).reshape(width, height).T
    return drawn


def truth(root: Path, video_id: str, name: str) -> np.ndarray:
    """(T, H, W) alpha in [0, 1]."""
    paths = sorted((root / "alpha_gt" / video_id / name).iterdir())
    assert [path.name for path in paths] == [f"{frame:05d}.png" for frame in ANNOTATED]
    return np.stack([decode_png(path.read_bytes()) for path in paths]) / 255


def masklets(root: Path) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """(video id, name, masks, alpha) of every manual masklet."""
    return [
        (
            data["video_id"],
            f"manual_{i:03d}",
            masks(data, i),
            truth(root, data["video_id"], f"manual_{i:03d}"),
        )
        for data in annotations(root, "manual")
        for i in range(data["masklet_num"])
    ]


def test_the_video_decodes_to_what_the_json_says(corpus: Path) -> None:
    for data in annotations(corpus, "manual"):
        path = corpus / "sav_train" / "sav_000" / f"{data['video_id']}.mp4"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 24
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert len(frames) == data["video_frame_count"] == 18
        assert frames[0].shape == (data["video_height"], data["video_width"], 3) == (96, 128, 3)
        assert data["video_duration"] == 18 / 24
        assert any((first != last).any() for first, last in itertools.pairwise(frames))
        assert np.stack(frames).std() > 20  # a picture, not a plane


@pytest.mark.parametrize("kind", ["manual", "auto"])
def test_the_json_has_the_keys_of_sav_and_tells_the_truth(corpus: Path, kind: str) -> None:
    for data in annotations(corpus, kind):
        assert list(data) == SAV_KEYS
        for key in ("frame_count", "height", "width", "resolution", "duration"):
            assert isinstance(data[f"video_{key}"], float)
        assert data["video_split"] == "train"
        number = data["masklet_num"]
        assert number in ((3, 4) if kind == "manual" else (2,))
        assert data["masklet_id"] == list(range(number))
        assert data["masklet_type"] == [kind] * number
        assert len(data["masklet"]) == len(ANNOTATED)
        for row in data["masklet"]:
            assert len(row) == number
            assert all(rle["size"] == [96, 128] and isinstance(rle["counts"], str) for rle in row)
        for i in range(number):
            drawn = masks(data, i)
            area, seen = drawn.sum(axis=(1, 2)), drawn.any(axis=(1, 2))
            mean = area[seen].mean() if seen.any() else 0.0
            assert data["masklet_size_abs"][i] == pytest.approx(mean)
            assert data["masklet_size_rel"][i] == pytest.approx(mean / (96 * 128))
            bucket = "small" if mean < 32**2 else "medium" if mean < 96**2 else "large"
            assert data["masklet_size_bucket"][i] == bucket
            assert data["masklet_visibility_changes"][i] == (seen[1:] != seen[:-1]).sum()
            first = seen.argmax() if seen.any() else len(ANNOTATED)
            assert data["masklet_first_appeared_frame"][i] == first
            assert data["masklet_frame_count"][i] == len(ANNOTATED)


def test_only_a_tracker_gives_stability_scores(corpus: Path) -> None:
    for data in annotations(corpus, "manual"):
        assert data["masklet_stability_score"] == [None] * data["masklet_num"]
    for data in annotations(corpus, "auto"):
        scores = np.array(data["masklet_stability_score"])
        assert scores.shape == (len(ANNOTATED), 2)
        assert ((scores >= 0) & (scores <= 1)).all()


def test_both_environments_occur(corpus: Path) -> None:
    environments = {data["video_environment"] for data in annotations(corpus, "manual")}
    assert environments == {"Indoor", "Outdoor"}


def test_masks_agree_with_alpha_but_are_not_it(corpus: Path) -> None:
    for video_id, name, drawn, alpha in masklets(corpus):
        if not drawn.any():
            continue
        solid = alpha > 0.5
        overlap = (drawn & solid).sum() / (drawn | solid).sum()
        assert overlap > 0.6, (video_id, name)
        assert ((alpha > 0.1) & (alpha < 0.9)).sum() > 0.1 * drawn.sum(), (video_id, name)
        assert alpha.max() == 1


def test_alphas_of_a_pixel_never_sum_above_one(corpus: Path) -> None:
    for data in annotations(corpus, "manual"):
        names = [f"manual_{i:03d}" for i in range(data["masklet_num"])]
        total = sum(truth(corpus, data["video_id"], name) for name in names)
        assert np.max(total) <= 1 + len(names) * 0.5 / 255  # each was rounded to 8 bits


def test_auto_masklets_are_the_first_objects_drawn_coarser(corpus: Path) -> None:
    pairs = zip(annotations(corpus, "manual"), annotations(corpus, "auto"), strict=True)
    for manual, auto in pairs:
        for i in range(auto["masklet_num"]):
            same = [truth(corpus, manual["video_id"], f"{k}_{i:03d}") for k in ("manual", "auto")]
            assert (same[0] == same[1]).all()
            assert (masks(manual, i) != masks(auto, i)).any()


def test_one_masklet_leaves_the_frame_and_returns(corpus: Path) -> None:
    seen = [drawn.any(axis=(1, 2)) for _, _, drawn, _ in masklets(corpus)]
    assert any(s[0] and s[-1] and not s.all() for s in seen)


@pytest.mark.parametrize("clips", [1, 3])
def test_exactly_one_masklet_of_the_corpus_is_empty(
    clips: int, corpus: Path, tmp_path: Path
) -> None:
    if clips == 1:
        render(tmp_path / "one", small(frames=1))
        (data,) = annotations(tmp_path / "one", "manual")
        empty = [not masks(data, i).any() for i in range(data["masklet_num"])]
    else:
        empty = [not drawn.any() for _, _, drawn, _ in masklets(corpus)]
        assert all(drawn.any() == alpha.any() for _, _, drawn, alpha in masklets(corpus))
    assert sum(empty) == 1


def test_as_many_clips_as_kinds_show_every_kind_in_each_size() -> None:
    config = small(clips=len(KINDS), seed=3)
    plans = [plan_clip(config, index) for index in range(config.clips)]
    for slot in range(3):
        assert {plan.objects[slot].kind for plan in plans} == set(KINDS)


def test_same_settings_same_bytes_and_again_over_itself(tmp_path: Path) -> None:
    for name in ("a", "b", "a"):
        render(tmp_path / name, small(clips=2, frames=9))
    first = files(tmp_path / "a")
    assert first == files(tmp_path / "b")
    assert not [name for name in first if not name.endswith((".mp4", ".json", ".png"))]


def test_bytes_do_not_hang_on_what_memory_held_before(tmp_path: Path) -> None:
    video = "sav_train/sav_000/sav_000001.mp4"
    for fill in ("1", "85", "170"):  # glibc fills what it allocates and frees with this
        words = [f"sample.root={tmp_path / fill}", "sample.clips=1", "sample.frames=40"]
        words += ["sample.width=192", "sample.height=144"]
        command = [sys.executable, "-m", "mav_pipeline", "sample", *words]
        subprocess.run(command, check=True, env={**os.environ, "MALLOC_PERTURB_": fill})
    assert len({(tmp_path / fill / video).read_bytes() for fill in ("1", "85", "170")}) == 1


def test_another_seed_is_another_corpus(tmp_path: Path) -> None:
    for seed in (0, 1, -1):
        render(tmp_path / str(seed), small(seed=seed))
    videos = {
        (tmp_path / str(seed) / "sav_train/sav_000/sav_000001.mp4").read_bytes()
        for seed in (0, 1, -1)
    }
    assert len(videos) == 3


def test_clips_of_a_corpus_differ(corpus: Path) -> None:
    videos = {path.read_bytes() for path in corpus.glob("sav_train/sav_000/*.mp4")}
    assert len(videos) == 3


def test_a_foreign_folder_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"sample\.root=.*other files.*empty folder") as error:
        render(tmp_path, small())
    assert str(tmp_path) in str(error.value)
    assert files(tmp_path) == {"thesis.txt": b"precious"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"sample\.root=.*not a folder"):
        render(tmp_path / "file", small())


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "sav_train").write_text("in the way of a folder")
    with pytest.raises(OutputError, match=r"sample\.root=.*cannot be written"):
        render(tmp_path, small())


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert render(tmp_path, small(frames=1)) == ["sav_000001"]
