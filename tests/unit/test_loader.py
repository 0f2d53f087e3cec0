"""What a trainer gets from a finished set: every sample once, cropped, filtered, or a refusal."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.regate import regate
from mav_pipeline.dataset.shard_tar import ShardTar, read_samples
from mav_pipeline.schema import SCORE_NAMES, Sample
from mav_pipeline.schema.errors import ConfigError, MavError, OutputError
from mav_pipeline.storage import LocalStorage
from mav_pipeline.train.loader import MatteDataset, MatteSample
from mav_pipeline.train.loader.backgrounds import composite
from tests.fakes import (
    HEIGHT,
    WIDTH,
    FakeBackend,
    build_set,
    config,
    decode_sample,
    encode_mp4,
    jpeg,
    level,
    masks_of,
    moving_box,
    pictures,
    png,
    write,
    write_clip,
)

pytestmark = [
    # From Python 3.12 on a fork beside threads warns; torch's default is a fork all the same.
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # few cores
]

LENGTHS = (6, 9, 4, 9, 6, 3, 9)  # annotated frames of each clip
KINDS = [("source", "ffv1"), ("source", "png"), ("jpeg", "ffv1"), ("none", "png")]


def objects(count: int, side: int) -> dict[int, Any]:
    """Two objects; the second is seen on the last two frames only."""
    late = moving_box(count, top=20, left=30, side=12)
    late[:-2] = False
    return {0: moving_box(count, side=side), 7: late}


def test_the_former_place_of_the_loader_gives_the_same_objects() -> None:
    from mav_pipeline.dataset.loader import Backgrounds, MatteDataset, MatteSample
    from mav_pipeline.train import loader

    assert MatteDataset is loader.MatteDataset
    assert Backgrounds is loader.Backgrounds
    assert MatteSample is loader.MatteSample


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for number, count in enumerate(LENGTHS):
        write_clip(root, f"sav_{number:06d}", objects(count, 20 + number % 2 * 6))
    return root


@pytest.fixture(scope="module")
def build(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def built(backend: FakeBackend | None = None, **overrides: Any) -> Path:
        """A finished set of ``source``, two clips a shard."""
        root = tmp_path_factory.mktemp("sets") / "out"
        words = {key.replace("__", "."): value for key, value in overrides.items()}
        words |= {"source.root": str(source), "output.root": str(root)}
        finalize(build_set(config({"output.clips_per_shard": 2, **words}), backend))
        return root

    return built


@pytest.fixture(scope="module")
def root(build: Callable[..., Path]) -> Path:
    """7 clips of 2 masklets in 4 shards."""
    return build()


def names(samples: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(sample["key"], sample["masklet"]) for sample in samples]


def loaded(dataset: MatteDataset, workers: int = 0) -> list[Any]:
    return [*DataLoader(dataset, batch_size=None, num_workers=workers)]


EVERY = sorted((f"sav_{n:06d}", f"manual_{m:03d}") for n in range(len(LENGTHS)) for m in (0, 7))


def whole(root: Path) -> dict[tuple[str, str], tuple[Any, Any, dict[str, Any]]]:
    """Alpha, masks and json of every masklet, by a full decode."""
    found = {}
    for path in sorted((root / "shards").glob("*.tar")):
        with path.open("rb") as file:
            for key, members in read_samples(file):
                document, masklets = decode_sample(members)
                for masklet in masklets:
                    found[key, masklet.name] = (masklet.alpha, masks_of(masklet), document)
    return found


# every sample, and once


@pytest.mark.parametrize("workers", [0, 1, 2, 9])
@pytest.mark.parametrize("shuffle", [0, 5])
def test_an_epoch_delivers_every_sample_once(root: Path, workers: int, shuffle: int) -> None:
    """9 workers are more than shards."""
    dataset = MatteDataset(root, shuffle=shuffle)
    assert len(dataset) == len(EVERY)
    assert sorted(names(loaded(dataset, workers))) == EVERY


@pytest.mark.parametrize(("nodes", "workers"), [(2, 2), (3, 1), (5, 3)])
def test_nodes_and_workers_share_an_epoch(root: Path, nodes: int, workers: int) -> None:
    parts = [MatteDataset(root, shuffle=3, node=(rank, nodes)) for rank in range(nodes)]
    found = [loaded(part, workers) for part in parts]
    assert [len(part) for part in parts] == [len(samples) for samples in found]
    assert sorted(name for samples in found for name in names(samples)) == EVERY


def test_the_environment_of_torchrun_names_the_node(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    there = MatteDataset(root)
    assert names(there) == names(MatteDataset(root, node=(2, 4)))


def test_torch_distributed_names_the_node(root: Path, tmp_path: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        assert len(MatteDataset(root)) == len(EVERY)
    finally:
        torch.distributed.destroy_process_group()


def test_a_worker_that_is_spawned_reads_too(root: Path) -> None:
    dataset = MatteDataset(root, frames=3, backgrounds=[(1, 2, 3)])
    loader = DataLoader(dataset, 2, num_workers=1, multiprocessing_context="spawn")
    assert sum(len(batch["key"]) for batch in loader) == len(EVERY)
    assert len(pickle.loads(pickle.dumps(dataset))) == len(EVERY)


def test_a_clip_is_a_sample_with_all_its_masklets(root: Path) -> None:
    dataset = MatteDataset(root, per="clip", frames=4)
    samples = [*dataset]
    assert len(dataset) == len(samples) == 6  # one clip has 3 frames
    for sample in samples:
        assert sample["masklet"] == ["manual_000", "manual_007"]
        assert sample["frames"].shape == (4, HEIGHT, WIDTH, 3)
        assert sample["alpha"].shape == sample["mask"].shape == (2, 4, HEIGHT, WIDTH)
        assert sample["visible"].shape == (2, 4)
        assert sample["scores"]["outside_mass"].shape == (2,)
    first = next(iter(MatteDataset(root, frames=4, seed=0)))
    assert first["scores"]["outside_mass"] == samples[0]["scores"]["outside_mass"][0]


# seed, epoch, draws


def same(one: Iterable[MatteSample], two: Iterable[MatteSample]) -> bool:
    return [pickle.dumps(dict(s)) for s in one] == [pickle.dumps(dict(s)) for s in two]


def test_seed_and_epoch_decide_order_and_crops(root: Path) -> None:
    def taken(seed: int, epoch: int) -> list[MatteSample]:
        dataset = MatteDataset(root, frames=2, size=(32, 32), shuffle=4, seed=seed)
        dataset.set_epoch(epoch)
        return [*dataset]

    assert same(taken(1, 2), taken(1, 2))
    others = [taken(1, 3), taken(2, 2)]
    for other in others:
        assert names(other) != names(taken(1, 2))
        assert sorted(names(other)) == EVERY


def test_crops_do_not_depend_on_the_number_of_workers(root: Path) -> None:
    dataset = MatteDataset(root, frames=2, size=(32, 32), shuffle=4)
    alone, shared = loaded(dataset), loaded(dataset, 3)
    by_name = {(s["key"], s["masklet"]): s["frame_indices"].tolist() for s in alone}
    assert by_name == {(s["key"], s["masklet"]): s["frame_indices"].tolist() for s in shared}


def test_persistent_workers_hear_of_a_new_epoch(root: Path) -> None:
    dataset = MatteDataset(root, frames=2, shuffle=2)
    loader = DataLoader(dataset, None, num_workers=1, persistent_workers=True)
    first = names(loader)
    dataset.set_epoch(1)
    second = names(loader)
    dataset.set_epoch(0)
    assert names(loader) == first != second


def test_draws_are_with_replacement_and_crops_differ(root: Path) -> None:
    dataset = MatteDataset(root, frames=2, draws=200, shuffle=8)
    samples = [*dataset]
    assert len(dataset) == len(samples) == 200
    assert set(names(samples)) == set(EVERY)
    crops = {s["frame_indices"][0] for s in samples if names([s]) == [EVERY[2]]}
    assert len(crops) > 3
    halves = [MatteDataset(root, frames=2, draws=200, node=(rank, 2)) for rank in (0, 1)]
    assert [len([*half]) for half in halves] == [100, 100]


# crops


@pytest.mark.parametrize(("rgb", "alpha"), KINDS)
def test_crops_are_those_of_a_full_decode(build: Callable[..., Path], rgb: str, alpha: str) -> None:
    root = build(output__rgb=rgb, output__alpha=alpha)
    expected = whole(root)
    dataset = MatteDataset(root, frames=3)
    samples = [*dataset]
    assert sorted(names(samples)) == EVERY
    for sample in samples:
        alphas, masks, document = expected[sample["key"], sample["masklet"]]
        start = document.frame_indices.index(sample["frame_indices"][0])
        places = slice(start, start + 3)
        assert sample["frame_indices"].tolist() == [*document.frame_indices[places]]
        np.testing.assert_array_equal(sample["alpha"], alphas[places])
        np.testing.assert_array_equal(sample["mask"], masks[places])
        entry = document.masklet(sample["masklet"])
        assert sample["visible"].tolist() == [*entry.visible[places]]
        assert sample["visible"].any()
        for score in SCORE_NAMES:
            value = entry.scores.get(score)
            assert sample["scores"][score] == value or (value is None)
        assert ("frames" in sample) == (rgb != "none")
        if rgb != "none":
            levels = [level(index) for index in sample["frame_indices"]]
            gray = np.broadcast_to(np.reshape(levels, (3, 1, 1, 1)), sample["frames"].shape)
            np.testing.assert_allclose(sample["frames"], gray, atol=4)


def test_image_files_are_picked_by_their_number(tmp_path: Path) -> None:
    """A source of images: those that no annotation belongs to are stored, and passed over."""
    for number, picture in enumerate(pictures(9)):
        write(tmp_path / "in/JPEGImages/a" / f"{number:05d}.jpg", jpeg(picture))
        if number % 2 == 0:
            labels = moving_box(9)[number].astype(np.uint8)
            write(tmp_path / "in/Annotations/a" / f"{number:05d}.png", png(labels))
    words = {"source.name": "sav_eval", "source.masklets": "gt"}
    words |= {"source.root": str(tmp_path / "in")}
    finalize(build_set(config({**words, "output.root": str(tmp_path / "out")})))
    (sample,) = MatteDataset(tmp_path / "out", frames=2, seed=3)
    assert sample["frames"][:, 0, 0, 0].tolist() == pytest.approx(
        [level(index) for index in sample["frame_indices"]], abs=2
    )
    assert sample["frame_indices"][0] % 2 == 0


def test_crops_from_the_start_are_the_first_frames_and_the_middle(root: Path) -> None:
    for sample in MatteDataset(root, frames=3, crop="start", size=(48, 48)):
        assert sample["frame_indices"].tolist() == [0, 4, 8]
        alphas, masks, _ = whole(root)[sample["key"], sample["masklet"]]
        np.testing.assert_array_equal(sample["alpha"], alphas[:3, :, 8:56])
        np.testing.assert_array_equal(sample["mask"], masks[:3, :, 8:56])


@pytest.mark.parametrize("per", ["masklet", "clip"])
def test_short_clips_are_left_out_or_hold_their_last_frame(root: Path, per: Any) -> None:
    dataset = MatteDataset(root, frames=6, per=per)
    long = {f"sav_{n:06d}" for n, count in enumerate(LENGTHS) if count >= 6}
    assert {sample["key"] for sample in dataset} == long
    dataset = MatteDataset(root, frames=6, per=per, short="repeat")
    samples = [*dataset]
    assert {sample["key"] for sample in samples} == {key for key, _ in EVERY}
    (short, *_) = (s for s in samples if s["key"] == "sav_000005")
    assert short["frame_indices"].tolist() == [0, 4, 8, 8, 8, 8]
    assert short["alpha"].shape[-3:] == (6, HEIGHT, WIDTH)
    assert short["frames"].shape == (6, HEIGHT, WIDTH, 3)
    time = short["alpha"].ndim - 3
    last = [np.take(short["alpha"], index, axis=time) for index in (2, 3, 5)]
    assert last[0].any()
    np.testing.assert_array_equal(last[0], last[1])
    np.testing.assert_array_equal(last[0], last[2])


def test_sized_crops_stack(root: Path) -> None:
    dataset = MatteDataset(root, frames=3, size=(40, 24), backgrounds=[(0, 255, 0)])
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    assert batch["frames"].shape == batch["composite"].shape == (4, 3, 40, 24, 3)
    assert batch["alpha"].shape == batch["mask"].shape == (4, 3, 40, 24)
    kinds = [batch[name].dtype for name in ("frames", "alpha", "mask", "visible", "frame_indices")]
    assert kinds == [torch.uint8, torch.uint8, torch.bool, torch.bool, torch.int64]
    assert batch["scores"]["outside_mass"].shape == (4,)
    assert len(batch["key"]) == len(batch["masklet"]) == 4


def test_whole_clips_are_the_default(root: Path) -> None:
    lengths = {sample["key"]: len(sample["alpha"]) for sample in MatteDataset(root)}
    assert lengths == {f"sav_{n:06d}": count for n, count in enumerate(LENGTHS)}


# filters


def rows(root: Path) -> list[dict[str, Any]]:
    return BuiltSet.open(LocalStorage(root)).rows().to_pylist()


#: ``outside_mass`` is 0.08 of the smallest objects, and 0.05 or less of the others.
GATES = {"quality__max_outside_mass": 0.07, "quality__min_quality": None}


@pytest.fixture(scope="module")
def kept(build: Callable[..., Path]) -> Path:
    """Mattes that lie off their masks: those of small objects are rejected, and stored too."""
    return build(FakeBackend(shift=4), quality__keep_rejected=True, **GATES)


def test_scores_bound_what_is_loaded(kept: Path) -> None:
    values = {(row["key"], row["masklet"]): row["outside_mass"] for row in rows(kept)}
    middle = sorted(values.values())[len(values) // 2 - 1]
    assert 0.02 < middle < 0.06
    both = ("accepted", "rejected")
    for bounds in ((None, middle), (middle, None), (middle, middle)):
        dataset = MatteDataset(kept, status=both, scores={"outside_mass": bounds})
        low, high = (bounds[0] or 0), (bounds[1] or 1)
        expected = sorted(name for name, value in values.items() if low <= value <= high)
        assert 0 < len(expected) < len(EVERY)
        assert len(dataset) == len(expected)
        assert sorted(names(dataset)) == expected


def test_statuses_choose(kept: Path) -> None:
    by_status = {
        status: sorted(
            (row["key"], row["masklet"]) for row in rows(kept) if row["status"] == status
        )
        for status in ("accepted", "rejected")
    }
    assert all(by_status.values())
    for status, expected in by_status.items():
        assert sorted(names(MatteDataset(kept, status=(status,)))) == expected


def test_a_score_that_a_masklet_does_not_have_lets_it_pass(root: Path) -> None:
    assert {row["seam_ratio"] for row in rows(root)} == {None}
    assert len(MatteDataset(root, scores={"seam_ratio": (None, 1.0)})) == len(EVERY)


def test_a_gate_stands_in_for_the_statuses_of_the_build(kept: Path) -> None:
    built = BuiltSet.open(LocalStorage(kept))
    loose = config({"quality.max_outside_mass": None, "quality.min_quality": None})
    strict = config({"quality.max_outside_mass": 0.045, "quality.min_quality": None})
    regate(built, "loose", loose.quality)
    regate(built, "strict", strict.quality)
    accepted = set(names(MatteDataset(kept)))
    loosened = set(names(MatteDataset(kept, gate="loose")))
    tightened = set(names(MatteDataset(kept, gate="strict")))
    assert tightened < accepted < loosened
    with pytest.raises(OutputError, match=r"no gates/lose.parquet \(there is: loose, strict\)"):
        MatteDataset(kept, gate="lose")


# new backgrounds


def test_composites_lie_over_a_drawn_background(root: Path, tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 0, 255)]
    met = set()
    for sample in MatteDataset(root, frames=2, backgrounds=colours):
        outside = sample["alpha"] == 0
        np.testing.assert_array_equal(sample["composite"][~outside], sample["frames"][~outside])
        (colour,) = {tuple(pixel) for pixel in sample["composite"][outside].tolist()}
        met.add(colour)
    assert met == set(colours)
    picture = np.zeros((10, 200, 3), np.uint8)
    picture[..., 1] = 200
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "more" / "a.PNG"), picture)
    for given in (tmp_path, [picture]):
        sample = next(iter(MatteDataset(root, frames=1, backgrounds=given)))
        assert (sample["composite"][sample["alpha"] == 0] == (0, 200, 0)).all()


def test_alpha_mixes_frame_and_background() -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    frames = np.full((1, 16, 16, 3), 255, np.uint8)
    ground = np.full((16, 16, 3), 100, np.uint8)
    share = alpha[..., None] / 255
    expected = np.rint(share * 255 + (1 - share) * ground)
    np.testing.assert_array_equal(composite(frames, alpha, ground), expected)


# refusals


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "../mav-000000-0123456789abcdef.tar",
        "shards/../shards/mav-000000-0123456789abcdef.tar",
        "/shards/mav-000000-0123456789abcdef.tar",
        "pipe:cat shards/mav-000000-0123456789abcdef.tar",
        "http://example.org/shards/mav-000000-0123456789abcdef.tar",
        "s3://bucket/shards/mav-000000-0123456789abcdef.tar",
        "shards/mav-000000-0123456789abcdef.parquet",
        "shards/other.tar",
        7,
    ],
)
def test_a_shard_that_is_not_named_as_ours_is_refused(small_set: Path, url: object) -> None:
    index = json.loads((small_set / layout.INDEX).read_text())
    index["shardlist"][1]["url"] = url
    (small_set / layout.INDEX).write_text(json.dumps(index))
    with pytest.raises(OutputError) as caught:
        MatteDataset(small_set)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"per": "frame"}, "per must be masklet or clip, not 'frame'"),
        ({"frames": 0}, "frames must be None, or at least 1, not 0"),
        ({"size": (0, 8)}, "size must be"),
        ({"crop": "middle"}, "crop must be random, start or seen"),
        ({"short": "pad"}, "short must be skip or repeat"),
        ({"shuffle": -1}, "shuffle must be"),
        ({"draws": 0}, "draws must be"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"node": (2, 2)}, "node must be"),
        ({"status": ("acepted",)}, "accepted or rejected; did you mean 'accepted'"),
        ({"status": ("skipped",)}, "status='skipped' has no alpha"),
        ({"status": ("rejected",), "scores": {"flicker": (9, None)}}, "no masklet .* passes"),
        ({"scores": {"flickr": (None, 1)}}, "no score 'flickr'; did you mean 'flicker'"),
        ({"scores": {"outside_mass": (0.9, None)}}, "no masklet .* passes"),
        ({"frames": 4}, "no masklet .* passes"),
        ({"gate": "../x"}, "no name of a gate"),
        ({"backgrounds": []}, "holds no colour"),
        ({"backgrounds": [(1, 2)]}, "must be .R, G, B."),
        ({"backgrounds": [(1, 2, 300)]}, "must be .R, G, B."),
        ({"backgrounds": [(1, 2, 3)], "per": "clip"}, 'backgrounds must be None with per="clip"'),
    ],
)
def test_a_wrong_setting_is_refused_at_once(
    small_set: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(MavError, match=message):
        MatteDataset(small_set, **settings)


def test_rejected_mattes_that_were_not_stored_are_refused(build: Callable[..., Path]) -> None:
    root = build(FakeBackend(shift=4), **GATES)
    with pytest.raises(ConfigError, match=r"without quality\.keep_rejected"):
        MatteDataset(root, status=("accepted", "rejected"))
    assert 0 < len(MatteDataset(root)) < len(EVERY)


def test_backgrounds_need_rgb(build: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"built with output\.rgb=none"):
        MatteDataset(build(output__rgb="none"), backgrounds=[(1, 2, 3)])


@pytest.mark.parametrize("missing", ["run.json", "index.json", "manifest.parquet"])
def test_what_is_no_finished_set_is_refused(small_set: Path, missing: str) -> None:
    (small_set / missing).unlink()
    with pytest.raises(OutputError, match=r"holds no set|is not finished"):
        MatteDataset(small_set)


def test_an_index_and_a_manifest_of_two_sets_are_refused(small_set: Path) -> None:
    index = json.loads((small_set / layout.INDEX).read_text())
    index["shardlist"].pop(0)
    (small_set / layout.INDEX).write_text(json.dumps(index))
    with pytest.raises(OutputError, match="names 'mav-000000', the index does not"):
        MatteDataset(small_set)


def first_sample(root: Path) -> tuple[Path, str, dict[str, bytes]]:
    """The tar of the first shard, and the first of its samples."""
    path = min((root / "shards").glob("*.tar"))
    with path.open("rb") as file:
        return path, *next(read_samples(file))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("manual_000.alpha.mkv"), "alpha of manual_000 is missing"),
        (lambda m: m.update({"manual_000.alpha.mkv": b"no video"}), "not an FFV1 Matroska file"),
        (lambda m: m.update({"rgb.mp4": b"no video"}), "the video cannot be decoded"),
        (lambda m: m.update({"rgb.mp4": encode_mp4(pictures(2))}), "the video has no frame 4"),
        (lambda m: m.pop("rgb.mp4"), "no RGB of frame 0"),
        (lambda m: m.pop("json"), "the sample has no json"),
        (lambda m: m.update(json=m["json"].replace(b'"height":48', b'"height":46')), "a frame is"),
        (lambda m: m.update(json=m["json"].replace(b"visible", b"seen")), "not that of a sample"),
        (lambda m: m.update(json=m["json"].replace(b'"size":[48', b'"size":[46')), "a mask is"),
        (lambda m: m.clear(), "it has no sample sav_000001"),
    ],
)
def test_a_damaged_sample_is_named(
    small_set: Path, change: Callable[[dict[str, bytes]], object], message: str
) -> None:
    path, key, members = first_sample(small_set)
    change(members)
    path.unlink()
    with ShardTar(path) as tar:
        tar.add(Sample(key, tuple(members.items())))
    with pytest.raises(OutputError, match=f"{path.name}.*{message}"):
        list(MatteDataset(small_set))


def test_a_torn_shard_is_named(small_set: Path) -> None:
    path, _, members = first_sample(small_set)
    path.write_bytes(path.read_bytes()[: 512 + len(members["json"]) // 2])
    with pytest.raises(OutputError, match=f"{path.name}.*not a whole tar"):
        list(MatteDataset(small_set))


def test_a_shard_that_is_gone_is_named(small_set: Path) -> None:
    path = min((small_set / "shards").glob("*.tar"))
    path.unlink()
    with pytest.raises(OutputError, match=path.name):
        list(MatteDataset(small_set))
