"""An evaluation compares what it can and names what it cannot."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tracemalloc
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mav_pipeline.config import EvaluateConfig, VerifyConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.reader import StoredSample, open_set
from mav_pipeline.dataset.shard_tar import ShardTar, read_samples
from mav_pipeline.dataset.verify import verify
from mav_pipeline.evaluate import Evaluation, Truth, evaluate
from mav_pipeline.evaluate.metrics import METRICS, MetricSums
from mav_pipeline.evaluate.plot import _end, _span, draw
from mav_pipeline.evaluate.result import MaskletMetrics, summary
from mav_pipeline.evaluate.strata import Shape, motion_group, resolution_group, size_group
from mav_pipeline.evaluate.truth_file import decode_truth
from mav_pipeline.evaluate.unseen import lines
from mav_pipeline.media.images import encode_png
from mav_pipeline.schema import Sample
from mav_pipeline.schema.errors import ConfigError, OutputError, TruthError
from mav_pipeline.schema.keys import safe_key
from mav_pipeline.storage import LocalStorage
from tests.fakes import FakeBackend, build_set, config, moving_box, write, write_clip

Stack = NDArray[np.uint8]
INDICES = (0, 4, 8)
MASKLETS = [f"sav_00000{clip}/manual_00{item}" for clip in (1, 2, 3) for item in (0, 2)]


def evaluated(root: Path, truth: Path, named: Any = "alpha_gt") -> Evaluation:
    built = BuiltSet.open(LocalStorage(root))
    return evaluate(built, Truth.open(EvaluateConfig(root=str(truth), layout=named), None))


def stored(root: Path) -> Iterator[tuple[str, str, Stack]]:
    """(clip, masklet, alpha) of all that a set stores."""
    for sample in open_set(root).samples():
        for masklet in sample.masklets:
            yield sample.key, masklet, np.stack([*sample.alpha(masklet)])


def write_truth(folder: Path, alphas: Stack) -> None:
    for index, alpha in zip(INDICES, alphas, strict=True):
        write(folder / f"{index:05d}.png", encode_png(alpha))


@pytest.fixture
def truth(small_set: Path, tmp_path: Path) -> Path:
    """Truth of ``small_set`` that its mattes meet exactly."""
    for key, masklet, alpha in stored(small_set):
        write_truth(tmp_path / "truth" / key / masklet, alpha)
    return tmp_path / "truth"


def named(result: Evaluation) -> list[str]:
    return [f"{item.video_id}/{item.masklet}" for item in result.masklets]


def problems(result: Evaluation) -> dict[str, list[str]]:
    return {kind: list(found) for kind, found in result.problems.items() if found}


# what is compared


def test_a_perfect_set_has_no_error_and_no_problem(small_set: Path, truth: Path) -> None:
    result = evaluated(small_set, truth)
    assert named(result) == MASKLETS
    assert problems(result) == {}
    overall = result.to_json()["overall"]
    best = {name: 100.0 if m.better == "more" else 0.0 for name, m in METRICS.items()}
    assert {metric: overall[metric] for metric in METRICS} == best
    assert (overall["masklets"], overall["frames"]) == (6, 18)


def test_means_are_over_masklets_and_over_frames(small_set: Path, truth: Path) -> None:
    write_truth(truth / MASKLETS[0], np.full((3, 48, 64), 51, np.uint8))
    (truth / MASKLETS[0] / "00008.png").unlink()
    result = evaluated(small_set, truth).to_json()
    wrong = result["masklets"][0]
    assert wrong["frames"] == 2
    assert wrong["missing_frames"] == 1
    assert wrong["mad"] > 200
    # A square of 400 opaque pixels against .2 on all 3072.
    error = (0.8 * 400 + 0.2 * 2672) / (0.2 * 3072)
    assert wrong["error"] == pytest.approx(error, abs=1e-5)
    assert result["overall"]["error"] == pytest.approx(error / 6, abs=1e-5)
    assert result["overall"]["mad"] == pytest.approx(wrong["mad"] / 6, abs=1e-6)
    weighted = result["overall"]["frame_weighted"]["mad"]
    assert weighted == pytest.approx(wrong["mad"] * 2 / 17, abs=1e-6)
    assert result["problems"]["frames_missing"] == {
        "count": 1,
        "masklets": {MASKLETS[0]: "1 of 3 have no truth"},
    }


def test_alpha_stored_as_png_gives_the_same(small_source: Path, tmp_path: Path) -> None:
    results = []
    for kind in ("ffv1", "png"):
        root = tmp_path / kind
        places = {"source.root": str(small_source), "output.root": str(root)}
        build_set(config({**places, "output.alpha": kind}), FakeBackend(shift=1))
        for key, masklet, alpha in stored(root):
            write_truth(tmp_path / "truth" / key / masklet, np.roll(alpha, 2, axis=2))
        results.append(evaluated(root, tmp_path / "truth").to_json())
    assert results[0] == results[1]
    assert results[0]["overall"]["mad"] > 0


def test_rejected_masklets_count_where_they_were_kept(tmp_path: Path, small_source: Path) -> None:
    root = tmp_path / "out"
    changes = {"quality.keep_rejected": True, "source.root": str(small_source)}
    build_set(config({**changes, "output.root": str(root)}), FakeBackend(shift=30))
    for key, masklet, alpha in stored(root):
        write_truth(tmp_path / "truth" / key / masklet, alpha)
    result = evaluated(root, tmp_path / "truth").to_json()
    assert result["strata"]["status"]["rejected"]["masklets"] == 6
    assert {row["status"] for row in result["masklets"]} == {"rejected"}


class Watched:
    """Counts frames that are alive, and the most that ever were at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive = self.most = 0
        alpha, read = StoredSample.alpha, Truth.read
        monkeypatch.setattr(StoredSample, "alpha", lambda *of: map(self.watch, alpha(*of)))
        monkeypatch.setattr(Truth, "read", lambda *of: self.watch(read(*of)))

    def watch(self, frame: Stack) -> Stack:
        def gone() -> None:
            self.alive -= 1

        weakref.finalize(frame, gone)
        self.alive += 1
        self.most = max(self.most, self.alive)
        return frame


def peak(count: int, folder: Path) -> int:
    """The most bytes at a time that comparing a clip of so many frames took."""
    name, masks = "long/manual_000", moving_box(count, shape=(120, 160))
    write_clip(folder / "in", "long", {0: masks})
    built = build_set(config({"source.root": str(folder / "in"), "output.root": str(folder / "o")}))
    for index, mask in enumerate(masks):
        write(folder / "truth" / name / f"{4 * index:05d}.png", encode_png(mask * np.uint8(200)))
    truth = Truth.open(EvaluateConfig(root=str(folder / "truth"), layout="alpha_gt"), None)
    tracemalloc.start()
    result = evaluate(built, truth)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert named(result) == [name]
    assert result.masklets[0].metrics.frames == count
    return most


def test_memory_does_not_grow_with_a_clips_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But by what the reader holds of a sample: numbers, run lengths, encoded bytes."""
    monkeypatch.setattr("mav_pipeline.evaluate.run.draw", lambda _: b"")  # would outweigh frames
    watched = Watched(monkeypatch)
    peak(2, tmp_path / "warm")
    short, long = (peak(count, tmp_path / str(count)) for count in (8, 40))
    assert long - short < 8 * 120 * 160, "of 32 frames more, not a quarter is held"
    assert watched.most <= 4, "alpha and truth of a frame and of the next"
    assert watched.alive == 0


# what cannot be compared


def damage(folder: Path, what: str) -> None:
    first = folder / "00000.png"
    match what:
        case "small":
            write_truth(folder, np.zeros((3, 24, 64), np.uint8))
        case "deep":
            cv2.imwrite(str(first), np.zeros((48, 64), np.uint16))
        case "rgb":
            cv2.imwrite(str(first), np.full((48, 64, 3), (90, 90, 93), np.uint8))
        case "palette":
            Image.new("P", (64, 48)).save(first)
        case "bits":
            Image.new("1", (64, 48)).save(first)
        case "text":
            first.write_text("no picture at all")
        case "torn":
            first.write_bytes(first.read_bytes()[:60])
        case "empty":
            write_truth(folder, np.zeros((3, 48, 64), np.uint8))
        case "unnumbered":
            for path in [*folder.iterdir()]:
                path.rename(folder / f"{int(path.stem) + 100}.png")
        case "gone":
            for path in [*folder.iterdir()]:
                path.unlink()


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("small", "truth_size", "manual_002/00000.png is 64x24, its clip 64x48"),
        ("deep", "truth_depth", "is 16-bit gray; 8-bit gray is wanted"),
        ("rgb", "truth_depth", "is 8-bit RGB in colour"),
        ("palette", "truth_depth", "-bit palette; 8-bit gray is wanted"),
        ("bits", "truth_depth", "is 1-bit gray"),
        ("text", "truth_unreadable", "is no PNG or JPEG"),
        ("torn", "truth_unreadable", "cannot be decoded"),
        ("empty", "empty_truth", "0 on all of 3 frames"),
        ("unnumbered", "frames_missing", "3 of 3 have no truth"),
        ("gone", "no_truth", "there is no truth for it"),
    ],
)
def test_bad_truth_is_named_and_not_averaged(
    small_set: Path, truth: Path, what: str, kind: str, message: str
) -> None:
    damage(truth / MASKLETS[1], what)
    result = evaluated(small_set, truth)
    assert named(result) == [MASKLETS[0], *MASKLETS[2:]]
    assert problems(result) == {kind: [MASKLETS[1]]}
    assert message in result.problems[kind][MASKLETS[1]]


def test_truth_that_the_set_does_not_store_is_named_with_what_became_of_it(
    small_source: Path, tmp_path: Path
) -> None:
    root, shown = tmp_path / "out", np.full((3, 48, 64), 255, np.uint8)
    places = {"source.root": str(small_source), "output.root": str(root)}
    build_set(config(places), FakeBackend(failures={"manual_002": "solver"}))
    for key, masklet, alpha in stored(root):
        write_truth(tmp_path / "truth" / key / masklet, alpha)
    for name in ("sav_000001/manual_002", "sav_000004/manual_000", "sav_000009/manual_000"):
        write_truth(tmp_path / "truth" / name, shown)
    result = evaluated(root, tmp_path / "truth")
    assert result.problems["not_stored"] == {
        "sav_000001/manual_002": "failed solver",
        "sav_000004/manual_000": "failed corrupt",
        "sav_000009/manual_000": "the set does not have it",
    }
    assert named(result) == MASKLETS[::2]


def test_what_is_not_compared_is_counted_by_what_became_of_it(
    small_source: Path, tmp_path: Path
) -> None:
    root, places = tmp_path / "out", {"source.root": str(small_source)}
    build_set(config({**places, "output.root": str(tmp_path / "all")}), FakeBackend())
    for key, masklet, alpha in stored(tmp_path / "all"):
        write_truth(tmp_path / "truth" / key / masklet, alpha)
    for name in ("sav_000004/manual_000", "sav_000009/manual_000"):
        write_truth(tmp_path / "truth" / name, np.full((3, 48, 64), 255, np.uint8))
    shutil.rmtree(tmp_path / "truth" / MASKLETS[0])
    strict = {**places, "output.root": str(root), "quality.max_area_ratio": 0.9}
    build_set(config({**strict, "quality.max_outside_mass": 0.0}), FakeBackend(shift=1))
    result = evaluated(root, tmp_path / "truth")
    assert named(result) == []
    found = {(item.status, item.reason): (item.masklets, item.with_truth) for item in result.unseen}
    assert found == {
        ("failed", "corrupt"): (1, 1),
        ("rejected", "area_ratio_high"): (6, 5),
        ("skipped", "no_annotation"): (1, 0),
        ("not in the set", ""): (1, 1),
    }
    shown = [line for line in result.table() if line.startswith("not seen")]
    assert shown == lines(result.unseen)
    assert "not seen: 6 rejected, 5 of them with truth (area_ratio_high 6)" in shown
    assert result.to_json()["unseen"][0] == {
        "status": "failed", "reason": "corrupt", "masklets": 1, "with_truth": 1,
    }  # fmt: skip
    with (root / "evaluation" / "unseen.csv").open() as file:
        assert [row["masklets"] for row in csv.DictReader(file)] == [
            str(item.masklets) for item in result.unseen
        ]
    assert verify(LocalStorage(root), VerifyConfig(deep=False, clean=False)).ok


def test_an_empty_matte_is_named_and_counts(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "sav_000", "sav_000001", {0: moving_box(3)})
    root = tmp_path / "out"
    build_set(config({"source.root": str(tmp_path / "in"), "output.root": str(root)}))
    alpha = next(stored(root))[2]
    write_truth(tmp_path / "truth/sav_000001/manual_000", alpha)
    result = evaluated(rewritten(root, np.zeros_like(alpha)), tmp_path / "truth")
    assert problems(result) == {"empty_alpha": ["sav_000001/manual_000"]}
    assert result.to_json()["overall"]["mad"] == pytest.approx(1e3 * 400 / (48 * 64), abs=1e-6)


def rewritten(root: Path, alpha: Stack) -> Path:
    """Puts other alpha into the only sample of a set, behind its receipt's back."""
    tar = next((root / "shards").glob("*.tar"))
    with tar.open("rb") as stream:
        key, members = next(read_samples(stream))
    del members["manual_000.alpha.mkv"]
    for index, frame in zip(INDICES, alpha, strict=False):
        members[f"manual_000.alpha.{index:05d}.png"] = encode_png(frame)
    tar.unlink()
    with ShardTar(tar) as archive:
        archive.add(Sample(key, tuple(members.items())))
    return root


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (np.zeros((2, 48, 64), np.uint8), "alpha of manual_000 is missing"),
        (np.zeros((3, 40, 64), np.uint8), "alpha of manual_000 is (40, 64)"),
    ],
)
def test_alpha_that_cannot_be_read_is_named(tmp_path: Path, alpha: Stack, message: str) -> None:
    write_clip(tmp_path / "in" / "sav_000", "sav_000001", {0: moving_box(3)})
    root = tmp_path / "out"
    build_set(config({"source.root": str(tmp_path / "in"), "output.root": str(root)}))
    write_truth(tmp_path / "truth/sav_000001/manual_000", np.full((3, 48, 64), 9, np.uint8))
    result = evaluated(rewritten(root, alpha), tmp_path / "truth")
    assert problems(result) == {"alpha_unreadable": ["sav_000001/manual_000"]}
    assert message in result.problems["alpha_unreadable"]["sav_000001/manual_000"]


@pytest.mark.parametrize("torn", [False, True])
def test_a_torn_or_missing_tar_is_named_and_the_others_are_compared(
    small_set: Path, truth: Path, torn: bool
) -> None:
    receipts = BuiltSet.open(LocalStorage(small_set)).receipts()
    tar = small_set / layout.data(receipts["mav-000001"].tar.name)
    data = tar.read_bytes()
    tar.unlink()
    if torn:
        tar.write_bytes(data[:600])  # in the first member
    result = evaluated(small_set, truth)
    assert named(result) == MASKLETS[:4]
    assert problems(result) == {
        "alpha_unreadable": ["mav-000001"],
        "not_stored": ["sav_000003/manual_000", "sav_000003/manual_002"],
    }


def test_no_truth_at_all_is_a_setting(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.root is not set"):
        Truth.open(EvaluateConfig(root=None, layout="alpha_gt"), None)
    with pytest.raises(ConfigError, match=r"evaluate\.root=.*nowhere is not a folder"):
        evaluated(small_set, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"evaluate\.root=.*run\.json is not a folder"):
        evaluated(small_set, small_set / "run.json")
    with pytest.raises(ConfigError, match=r"holds no file .*evaluate\.layout=alpha_gt"):
        evaluated(small_set, small_set)
    with pytest.raises(OutputError, match="holds no build"):
        evaluated(tmp_path / "nowhere", tmp_path)


# layouts


def moved(truth: Path, places: Mapping[str, str]) -> Path:
    """The truth under other names; ``{frame}`` in a place is a frame's number."""
    root = truth.with_name("moved")
    for name, place in places.items():
        for path in (truth / name).iterdir():
            write(root / place.format(frame=path.stem), path.read_bytes())
    return root


def test_vhim60_names_instances_by_number(small_set: Path, truth: Path) -> None:
    places = {name: f"pha/{name[:10]}/{{frame}}/{name[-2:]}.png" for name in MASKLETS}
    result = evaluated(small_set, moved(truth, places), "vhim60")
    assert (named(result), problems(result)) == (MASKLETS, {})


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of clips with one object each, and of ``two`` with two."""
    source, root = (tmp_path_factory.mktemp("films") / name for name in ("in", "out"))
    for clip in ("0005", "youtubematte_static_0006", "two"):
        objects = {0: moving_box(3)} | ({1: moving_box(3)} if clip == "two" else {})
        write_clip(source, clip, objects)
    build_set(config({"source.root": str(source), "output.root": str(root)}))
    return root


def pha(root: Path, films: Path, *places: str, end: str = "jpg") -> Path:
    """Truth of the films' own alpha below each place."""
    alpha = next(stored(films))[2]
    for place in places:
        for index, frame in zip(INDICES, alpha, strict=True):
            path = root / place / "pha" / f"{index:04d}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(path, quality=95)
    return root


MOTION, STATIC = (f"youtubematte_1920x1080/youtubematte_{name}" for name in ("motion", "static"))


@pytest.mark.parametrize("end", ["jpg", "png", "JPEG"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_youtubematte_is_read_as_its_scorer_does(
    films: Path, tmp_path: Path, level: int, end: str
) -> None:
    """From any folder down to one of clips; a clip is known by its name, or with its subset's."""
    pha(tmp_path, films, f"{MOTION}/0005", f"{STATIC}/0006", end=end)
    write(tmp_path / MOTION / "0005" / "har" / "0000.jpg", b"no truth")
    root = (tmp_path, tmp_path / "youtubematte_1920x1080", tmp_path / MOTION)[level]
    result = evaluated(films, root, "youtubematte")
    both = ["0005/manual_000", "youtubematte_static_0006/manual_000"]
    assert named(result) == (both[:1] if level == 2 else both)
    overall = result.to_json()["overall"]
    assert overall["jf"] == 100
    assert overall["mad"] == 0 if end == "png" else overall["mad"] < 2


def test_youtubematte_has_one_object_a_clip(films: Path, tmp_path: Path) -> None:
    result = evaluated(films, pha(tmp_path, films, "0005", "two"), "youtubematte")
    assert named(result) == ["0005/manual_000"]
    assert problems(result)["no_truth"][:2] == ["two/manual_000", "two/manual_001"]
    assert "2 masklets of the clip" in result.problems["no_truth"]["two/manual_001"]
    assert result.coverage == {"with_truth": 2, "stored": 4, "compared": 1, "not_compared": 1}


def test_truth_of_one_name_in_two_folders_is_not_guessed_at(films: Path, tmp_path: Path) -> None:
    truth = pha(tmp_path, films, f"{MOTION}/0005", f"{STATIC}/0005", f"{STATIC}/0006")
    result = evaluated(films, truth, "youtubematte")
    assert named(result) == ["youtubematte_static_0006/manual_000"]
    assert problems(result)["truth_ambiguous"] == ["0005/manual_000"]
    what = result.problems["truth_ambiguous"]["0005/manual_000"]
    assert f"any of {MOTION}/0005/pha, {STATIC}/0005/pha; name a folder" in what
    assert result.coverage["not_compared"] == 2
    assert named(evaluated(films, truth / MOTION, "youtubematte")) == ["0005/manual_000"]


def test_a_clip_with_any_name_is_known_by_the_key_made_of_it(films: Path, tmp_path: Path) -> None:
    source, root = tmp_path / "in", tmp_path / "out"
    for name in ("Straße 1.2", "sub set/a"):
        write_clip(source, safe_key(name))
    build_set(config({"source.root": str(source), "output.root": str(root)}))
    truth = pha(tmp_path / "truth", films, "sub set/a", "sub set/Straße 1.2", "other/a")
    result = evaluated(root, truth, "youtubematte")
    assert {name.rpartition("-")[0] for name in named(result)} == {"Stra_e_1_2", "sub_set_a"}


def test_two_files_of_one_frame_are_not_guessed_at(films: Path, tmp_path: Path) -> None:
    truth = pha(pha(tmp_path, films, "0005"), films, "0005", end="png")
    result = evaluated(films, truth, "youtubematte")
    assert named(result) == []
    what = result.problems["truth_ambiguous"]["0005/manual_000"]
    assert what == "frame 0 has 2 files: 0005/pha/0000.jpg, 0005/pha/0000.png; keep one"


def test_frames_are_found_by_number_however_they_are_written(small_set: Path, truth: Path) -> None:
    for path in [*truth.glob("*/*/*.png")]:
        path.rename(path.with_name(f"{int(path.stem)}.png"))
    assert len(named(evaluated(small_set, truth))) == 6


# files


def picture(data: Any, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(data).save(buffer, kind, **how)
    return buffer.getvalue()


ALPHA = cv2.GaussianBlur(np.where(np.mgrid[:48, :64][0] > 20, 255, 0).astype(np.uint8), (9, 9), 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_is_read_as_opencv_does(kind: str, channels: int) -> None:
    """That is how published scorers read it; in three equal channels too."""
    data = picture(ALPHA if channels == 1 else np.dstack([ALPHA] * 3), kind)
    found = decode_truth(data, "a", (48, 64))
    wanted = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (found == wanted).all()
    assert found.dtype == np.uint8


TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (picture(ALPHA.T, "JPEG"), "truth_size", "a is 48x64, its clip 64x48"),
        (picture(np.dstack([ALPHA, ALPHA, 255 - ALPHA]), "JPEG"), "truth_depth", "in colour"),
        (picture(np.dstack([ALPHA] * 4), "PNG"), "truth_depth", "is 8-bit RGBA"),
        (picture(ALPHA, "JPEG")[:-99], "truth_unreadable", "cannot be decoded"),
        (picture(np.dstack([ALPHA] * 3), "PNG")[:-99], "truth_unreadable", "cannot be decoded"),
        (picture(ALPHA, "JPEG", exif=TURNED), "truth_unreadable", "is to be turned"),
        (picture(ALPHA, "BMP"), "truth_unreadable", "is no PNG or JPEG"),
        (b"", "truth_unreadable", "is no PNG or JPEG"),
    ],
)
def test_what_is_no_gray_picture_is_refused(data: bytes, kind: str, message: str) -> None:
    with pytest.raises(TruthError, match=message) as caught:
        decode_truth(data, "a", (48, 64))
    assert caught.value.kind == kind


# strata


def test_strata_part_the_masklets(small_set: Path, truth: Path) -> None:
    result = evaluated(small_set, truth).to_json()
    assert list(result["strata"]) == ["status", "environment", "size", "motion", "resolution"]
    for stratum, groups in result["strata"].items():
        assert sum(group["masklets"] for group in groups.values()) == 6, stratum
        assert {row[stratum] for row in result["masklets"]} == set(groups)
    assert set(result["strata"]["size"]) == {"small"}
    assert set(result["strata"]["resolution"]) == {"below 480p"}


def test_the_shape_of_a_moving_square() -> None:
    shape = Shape()
    for index, mask in enumerate(moving_box(3)):
        shape.add(index, mask.astype(np.uint8) * np.uint8(255))
    assert shape.area == pytest.approx(400)
    assert shape.motion == pytest.approx(1 / 20)


def test_a_frame_without_the_object_parts_its_path() -> None:
    shape, masks = Shape(), moving_box(3).astype(np.uint8) * np.uint8(255)
    for index, mask in enumerate((masks[0], masks[0] * np.uint8(0), masks[2])):
        shape.add(index, mask)
    assert (shape.frames, shape.motion) == (2, None)
    assert Shape().area == 0


def test_the_bounds_of_strata() -> None:
    assert [size_group(area) for area in (1023, 1024, 9215, 9216)] == [
        *("small", "medium", "medium", "large")
    ]
    assert [motion_group(m) for m in (None, 0, 0.125, 0.25, 0.75)] == [
        *("unknown", "still", "slow", "medium", "fast")
    ]
    assert resolution_group(479, 900) == "below 480p"
    assert resolution_group(848, 480) == "480p"
    assert resolution_group(720, 1280) == "720p"
    assert resolution_group(1080, 1920) == "1080p and up"


# what it leaves


def test_csv_and_json_agree_and_verify_knows_the_files(small_set: Path, truth: Path) -> None:
    write_truth(truth / MASKLETS[0], np.full((3, 48, 64), 51, np.uint8))
    rows = evaluated(small_set, truth).to_json()["masklets"]
    text = (small_set / "evaluation" / "metrics.csv").read_text()
    written = [*csv.DictReader(io.StringIO(text))]
    as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert written == as_text
    assert json.loads(json.dumps(rows)) == rows
    assert verify(LocalStorage(small_set), VerifyConfig(deep=False, clean=False)).ok


def test_the_picture_is_the_same_each_time_whatever_there_is(small_set: Path, truth: Path) -> None:
    result = evaluated(small_set, truth)
    picture = (small_set / "evaluation" / "metrics.png").read_bytes()
    assert picture == draw(result)
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
    assert draw(Evaluation()).startswith(b"\x89PNG")


def test_the_picture_does_not_hang_on_how_matplotlib_is_set_up(
    small_set: Path, truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = evaluated(small_set, truth)
    picture = draw(result)
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    monkeypatch.setitem(mpl.rcParams, "axes.facecolor", "black")
    assert draw(result) == picture
    assert mpl.rcParams["font.size"] == 30, "nor does it change that"
    assert b"matplotlib" not in picture


def test_a_group_may_be_called_anything(small_set: Path, truth: Path) -> None:
    result = evaluated(small_set, truth)
    named = ("$\\frac$ and $", "室内", "")
    for name, masklet in zip(named * 2, result.masklets, strict=False):
        masklet.groups["environment"] = name  # type: ignore[index]
    assert draw(result).startswith(b"\x89PNG")


def test_an_axis_ends_at_a_round_number_at_or_above_most_masklets() -> None:
    assert [_end(values) for values in ([], [0, 0], [3.2], [0.04], [98, 101])] == [
        *(1, 1, 3.5, 0.04, 150)
    ]
    assert _end([1.0] * 99 + [1000]) == 1, "but for the few that are far off"
    assert _span([0.04], "less") == (0, 0.04)
    assert _span([98.9, 96.2], "more") == (96, 100)
    assert _span([], "more") == (99, 100)


def test_the_table_names_means_and_problems(small_set: Path, truth: Path) -> None:
    for name in MASKLETS[:4]:
        damage(truth / name, "gone")
    lines = evaluated(small_set, truth).table()
    assert lines[0].split() == [
        "masklets",
        "frames",
        "MAD",
        "MAD-T",
        *("MSE", "Grad", "Grad_lr", "Conn", "dtSSD", "dtSSD_pairs", "J", "F", "J&F"),
    ]
    assert lines[1].split() == ["overall", "2", "6", *["0.000"] * 8, *["100.000"] * 3]
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[-5] == "compared 2 of 2 masklets that have truth, 0 not; the set stores 6"
    assert lines[-4:-1] == [
        "not seen: 4 accepted, 0 of them with truth (no_truth 4)",
        "not seen: 1 failed, 0 of them with truth (corrupt 1)",
        "not seen: 1 skipped, 0 of them with truth (no_annotation 1)",
    ]
    assert lines[-1].startswith("4 no_truth (stored, but there is no truth for it): sav_000001/")
    assert lines[-1].endswith(" ...")


def test_a_mean_leaves_out_masklets_that_have_no_value() -> None:
    one, two = MetricSums(), MetricSums()
    square = np.zeros((20, 20), np.uint8)
    square[5:15, 5:15] = 255
    one.add(0, square, square)
    for index in range(3):
        two.add(index, np.full((20, 20), 51 * (index % 2), np.uint8), np.zeros((20, 20), np.uint8))
    items = [
        MaskletMetrics("clip", "m", 20, 20, 0, 3, 100.0, None, 100.0, {}, m) for m in (one, two)
    ]
    found = summary(items)
    assert found["dtssd_pairs"] == 20  # of the second alone: the first has no pair
    assert found["j"] == 100  # of the first alone: the second has no truth
    assert found["mad_t"] == 0  # of the first alone: the second leaves no doubt
    assert found["mad"] == pytest.approx(200 / 3 / 2, abs=1e-6)
    assert found["frame_weighted"]["mad"] == pytest.approx(200 / 4)
    assert summary([])["mad"] is None
