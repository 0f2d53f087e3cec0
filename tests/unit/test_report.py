"""The report: one page that shows a set as it is, whatever state it is in, and trusts no text."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from mav_pipeline.build.shard import ShardBuilder
from mav_pipeline.cli import load_config
from mav_pipeline.config import QualityConfig, ReportConfig, RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.manifest import SCHEMA
from mav_pipeline.dataset.plan_file import to_table
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.dataset.regate import regate
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.matting.binary import BinaryBackend
from mav_pipeline.media.foreground import checkerboard
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.planning import plan
from mav_pipeline.report import masklets, sheets, write_report
from mav_pipeline.report.bounds import Limit, limits_of
from mav_pipeline.report.charts import PLOT_HEIGHT, PLOT_WIDTH, histogram, rate
from mav_pipeline.report.choose import Choice, choose
from mav_pipeline.report.masklets import pack
from mav_pipeline.report.pictures import _over, pictures
from mav_pipeline.schema import (
    FORMAT,
    Clip,
    ClipMeasure,
    ClipRef,
    LoadedClip,
    Masklet,
    Problem,
    ShardFailure,
    WorkingSize,
)
from mav_pipeline.schema.errors import ConfigError, InputError, OutputError
from mav_pipeline.schema.interfaces import Sizing
from mav_pipeline.storage import LocalStorage, Output
from tests.fakes import STAMP, config

HEIGHT, WIDTH, STEP, FRAMES = 48, 64, 4, 6
INDICES = tuple(range(0, STEP * FRAMES, STEP))
HOSTILE = "<script>alert('error')</script>"
HOSTILE_ID = "<img src=x onerror=alert(1)>"

Rgb = tuple[tuple[str, bytes], ...]


def _shade(number: int) -> np.ndarray:
    """Video frame ``number``: a flat gray that tells which one it is."""
    return np.full((HEIGHT, WIDTH, 3), 20 + 8 * number, np.uint8)


def _mp4() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        groups = {"x264-params": "keyint=12:scenecut=0", "threads": "1"}
        stream = container.add_stream("libx264", rate=24, options=groups)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(STEP * FRAMES):
            frame = av.VideoFrame.from_ndarray(_shade(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _jpegs() -> Rgb:
    return tuple((f"rgb.{number:05d}.jpg", encode_jpeg(_shade(number))) for number in INDICES)


class _Source:
    """Clips of one box that is gone on frame 0; ids that begin with ``bad`` cannot be read."""

    def __init__(self, rgb: Rgb) -> None:
        self._rgb = rgb

    def discover(self) -> list[ClipRef]:
        return []

    def measure(self, ref: ClipRef) -> ClipMeasure:
        return ClipMeasure(1, FRAMES, FRAMES, HEIGHT * WIDTH)

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        if ref.video_id.startswith("bad"):
            raise InputError("corrupt", HOSTILE, role="video", stage="decode")
        masks = np.zeros((FRAMES, HEIGHT, WIDTH), np.bool_)
        masks[1:, 10:30, 20:44] = True
        masklet = Masklet("manual_000", 0, "manual", tuple(encode_rle(mask) for mask in masks))
        frames = np.zeros((FRAMES, 8, 8, 3), np.uint8)
        size = WorkingSize(8, 8, 8, 8)
        about = (ref.video_id, WIDTH, HEIGHT, 24.0, INDICES, None, (masklet,), size)
        return LoadedClip(Clip(*about), frames, lambda: self._rgb)


def _build(
    root: Path,
    ids: Sequence[str] = ("clip_0", "bad_1", "clip_2"),
    *overrides: str,
    rgb: Rgb | None = None,
    publish: int = 100,
) -> BuiltSet:
    """A set of two clips a shard, of which the first ``publish`` shards are there."""
    config: RunConfig = load_config(("matting=binary", f"output.root={root}", *overrides))
    config = replace(config, quality=config.quality.resolved())
    storage = LocalStorage(root)
    problem = Problem("failed", "bad_id", f"plan of video: {HOSTILE_ID}")
    clips = [ClipRef(name, (), problem if name == HOSTILE_ID else None) for name in ids]
    planned = plan.make_plan(clips, 2, {})
    run = {
        "format": FORMAT,
        "fingerprint": "f" * 64,
        "config": config.to_mapping(),
        "weights": {},
        "keys": {},
        "versions": {"mav_pipeline": "1.2.3"},
    }
    storage.put(layout.PLAN, encode_table(to_table(planned)))
    storage.put(layout.RUN, json.dumps(run).encode())
    builder = ShardBuilder(
        config=config,
        source=_Source((("rgb.mp4", _mp4()),) if rgb is None else rgb),
        backend=BinaryBackend(),
        output=Output(lambda: storage, 0),
    )
    with contextlib.closing(builder):
        builder.setup()
        for shard in planned.shards[:publish]:
            builder.build(shard, STAMP)
    return BuiltSet.open(storage)


def _page(built: BuiltSet, masklets: int = 24, frames: int = 3) -> str:
    write_report(built, ReportConfig(enabled=True, masklets=masklets, frames=frames, gate=None))
    return built.storage.read("report/index.html").decode()


def _strips(page: str) -> dict[str, list[Image.Image]]:
    """The frames of each strip, by its label."""
    found = {}
    pattern = (
        r'viewBox="0 0 (\d+) (\d+)" role="img" aria-label="([^"]+)"><image [^>]*base64,([^"]+)"'
    )
    for width, height, label, data in re.findall(pattern, page):
        strip = Image.open(io.BytesIO(base64.b64decode(data)))
        assert strip.width == int(width)
        tops = range(0, strip.height, int(height))
        found[label] = [strip.crop((0, top, strip.width, top + int(height))) for top in tops]
    return found


def _packed(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'id="packed">([^<]*)<', page)
    assert found
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


def _tar(built: BuiltSet, shard: str) -> Path:
    return Path(f"{built.storage}") / layout.data(built.receipts()[shard].tar.name)


# the page


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "my_set"))
    assert "://" not in page
    assert re.findall(r'(?:src|href|srcset)="(?!data:|#)', page) == []
    assert "url(" not in page
    assert "<title>my_set: " in page
    assert str(tmp_path) not in page
    assert "f" * 64 in page
    assert "mav_pipeline 1.2.3" in page
    assert "<strong>2</strong> of 2 shards" in page


def test_only_the_pages_own_script_and_style_may_run(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set"))
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in page
    assert " style=" not in page
    assert not re.search(r" on[a-z]+=", page)


def test_the_same_set_gives_the_same_bytes(tmp_path: Path) -> None:
    built = _build(tmp_path / "set")
    assert _page(built) == _page(built)


def test_what_strangers_wrote_is_shown_and_never_run(tmp_path: Path) -> None:
    built = _build(tmp_path / "set", ("clip_0", "bad_1", HOSTILE_ID, "clip_3"), publish=1)
    record_failure(built.storage, ShardFailure("mav-000001", "publish", "OSError", HOSTILE, 3))
    rows_and_shards = _page(built)
    assert rows_and_shards.count("&lt;script&gt;alert(&#39;error&#39;)&lt;/script&gt;") == 2
    ids = _page(_build(tmp_path / "other", (HOSTILE_ID, "clip_1")))
    assert "&lt;img src=x onerror=alert(1)&gt;" in ids
    for page in (rows_and_shards, ids):
        assert HOSTILE not in page
        assert "<img" not in page


def test_failures_beyond_a_hundred_are_counted(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set", [f"bad_{n:03d}" for n in range(103)]))
    assert page.count("<td>whole clip</td>") == 100
    assert "bad_099" in page
    assert "<code>bad_100" not in page
    assert "the first 100, 3 more stand in the table of masklets" in page


def test_an_unfinished_build_says_so(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set", ("clip_0", "clip_1", "clip_2"), publish=1))
    assert "1 of 2 shards are not published" in page
    assert ">incomplete<" in page


def test_a_build_of_which_nothing_is_published_has_a_page(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set", publish=0))
    assert "No masklet has been scored." in page
    assert "There is no masklet to show" in page


# pictures


@pytest.mark.parametrize("alpha", ["ffv1", "png"])
@pytest.mark.parametrize("stored", ["source", "jpeg"])
def test_a_masklet_is_shown_on_visible_frames(tmp_path: Path, stored: str, alpha: str) -> None:
    rgb = _jpegs() if stored == "jpeg" else None
    page = _page(_build(tmp_path / "set", ("clip_0",), f"output.alpha={alpha}", rgb=rgb))
    strips = _strips(page)
    titles = ("frame", "mask", "alpha", "on a checkerboard")
    assert list(strips) == [f"clip_0 manual_000, {title}" for title in titles]
    assert len({frame.size for strip in strips.values() for frame in strip}) == 1
    assert "Video frames 4, 12, 20" in page
    for number, *frames in zip((4, 12, 20), *strips.values(), strict=True):
        frame = np.asarray(frames[0], dtype=int)
        # The very frame, but for the codecs: its neighbours are 32 away.
        assert abs(np.median(frame) - _shade(number)[0, 0, 0]) < 8
        mask, matte = (np.asarray(picture.convert("L")) for picture in frames[1:3])
        assert set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(mask, matte)
        board = np.asarray(frames[3].convert("L"), dtype=int)
        solid = mask > 0
        assert abs(np.median(board[solid]) - np.median(frame[..., 0][solid])) < 8


def test_frames_that_are_dear_to_decode_give_way_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every twelfth frame of the video is a key frame; the object is seen from frame 4 on."""
    built = _build(tmp_path / "set", ("clip_0", "clip_2"))
    assert "Video frames 4, 12, 20" in _page(built)
    monkeypatch.setattr(sheets, "VIDEO_PIXELS", 0)
    page = _page(built)
    assert "Video frames 4, 12, 16" in page
    frames = _strips(page)["clip_0 manual_000, frame"]
    for number, frame in zip((4, 12, 16), frames, strict=True):
        assert abs(np.median(np.asarray(frame, dtype=int)) - _shade(number)[0, 0, 0]) < 8


def test_larger_frames_than_the_source_allowed_are_not_decoded(tmp_path: Path) -> None:
    built = _build(tmp_path / "set", ("clip_0",))
    members = next(stored_samples(built.storage, f"shards/{_tar(built, 'mav-000000').name}"))[1]
    words = {"count": 1, "video_pixels": 1e9}
    with pytest.raises(ValueError, match=r"3072 pixels, source\.max_pixels is 3071"):
        pictures(members, ["manual_000"], max_pixels=3071, **words)
    assert len(pictures(members, ["manual_000"], max_pixels=None, **words)[0].strips) == 4


def test_a_red_object_on_green_shows_no_green_on_the_checkerboard() -> None:
    y, x = np.mgrid[:180, :320]
    alpha = np.rint(np.clip((60 - np.hypot(y - 90, x - 160)) / 20 + 0.5, 0, 1) * 255)
    share = alpha[..., None] / 255
    frame = np.rint(share * (200, 40, 40) + (1 - share) * (40, 200, 40)).astype(np.uint8)
    board = _over(checkerboard(180, 320, 12), frame, alpha.astype(np.uint8)).astype(int)
    edge = (alpha > 25) & (alpha < 230)
    assert (frame[edge][:, 1] > frame[edge][:, 0].astype(int)).mean() > 0.3, "in the frame"
    # Gray squares have as much red as green, and the object has more.
    assert (board[..., 1] - board[..., 0]).max() <= 2


def test_small_objects_are_shown_larger_than_their_frame_would(tmp_path: Path) -> None:
    strips = _strips(_page(_build(tmp_path / "set", ("clip_0",))))
    width, height = strips["clip_0 manual_000, mask"][0].size
    assert width < WIDTH
    assert abs(width / height - WIDTH / HEIGHT) < 0.1


def test_without_rgb_mask_and_alpha_are_shown(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set", ("clip_0",), "output.rgb=none", rgb=()))
    assert "output.rgb=none" in page
    assert [label.rpartition(", ")[2] for label in _strips(page)] == ["mask", "alpha"]


def test_pictures_are_bounded(tmp_path: Path) -> None:
    built = _build(tmp_path / "set", ("clip_0", "clip_1", "clip_2"))
    assert len(_strips(_page(built, masklets=2, frames=1))) == 2 * 4
    page = _page(built, masklets=0)
    assert _strips(page) == {}
    assert "report.masklets is 0" in page
    with pytest.raises(ConfigError, match=r"report\.masklets"):
        config({"report.masklets": 1000})
    with pytest.raises(ConfigError, match=r"report\.frames"):
        config({"report.frames": 0})


@pytest.mark.parametrize("damage", ["torn", "garbage", "missing"])
def test_an_unreadable_tar_is_named_and_the_others_are_shown(tmp_path: Path, damage: str) -> None:
    built = _build(tmp_path / "set")
    tar = _tar(built, "mav-000000")
    if damage == "missing":
        tar.unlink()
    else:
        tar.write_bytes(tar.read_bytes()[:4000] if damage == "torn" else b"\x01" * 5000)
    page = _page(built)
    assert "No pictures of clip_0 in mav-000000" in page
    assert f"{tar.name} cannot be read" in page
    assert str(tmp_path) not in page
    assert {label.split()[0] for label in _strips(page)} == {"clip_2"}


def test_a_tar_cut_between_members_is_named(tmp_path: Path) -> None:
    built = _build(tmp_path / "set", ("clip_0",))
    tar = _tar(built, "mav-000000")
    tar.write_bytes(tar.read_bytes()[: 1024 * 2])  # the json alone: tarfile sees no fault in it
    assert "No pictures of clip_0 in mav-000000" in _page(built)


def test_a_sample_that_does_not_decode_is_named(tmp_path: Path) -> None:
    built = _build(tmp_path / "set", rgb=(("rgb.mp4", b"not a video"),))
    page = _page(built)
    assert "No pictures of clip_2 in mav-000001: the sample cannot be decoded" in page
    assert _strips(page) == {}


# scores and gates


def test_gates_are_drawn(tmp_path: Path) -> None:
    page = _page(_build(tmp_path / "set", ("clip_0",), "quality.max_flicker=0.25"))
    for text in ("max 0.05", "max 0.55", "min 0.5", "max 1.5", "max 0.25", "max 0.1"):
        assert f">{text}</text>" in page
    assert page.count('<line class="limit"') == 6


def test_rejected_masklets_are_pictured_where_they_are_kept(tmp_path: Path) -> None:
    strict = ("quality.max_area_ratio=0.6",)
    page = _page(_build(tmp_path / "gone", ("clip_0",), *strict))
    assert "none was accepted" in page
    page = _page(_build(tmp_path / "kept", ("clip_0",), *strict, "quality.keep_rejected=true"))
    assert "area_ratio_high" in page
    assert len(_strips(page)) == 4


def test_a_report_by_a_gate_has_its_outcomes_and_limits(tmp_path: Path) -> None:
    built = _build(tmp_path / "set")
    finalize(built)
    quality = {**built.run["config"]["quality"], "max_area_ratio": 0.75}
    regate(built, "strict", QualityConfig(**quality))
    write_report(built, ReportConfig(enabled=True, masklets=24, frames=3, gate="strict"))
    page = built.storage.read("report/index.html").decode()
    assert "Judged by the gate <strong>strict</strong>" in page
    assert ">max 0.75</text>" in page
    assert "<strong>0</strong> masklets accepted" in page
    columns = _packed(page)["columns"]
    assert columns["status"] == ["rejected", "failed", "rejected"]
    assert columns["reasons"] == ["area_ratio_high", "corrupt", "area_ratio_high"]
    assert len(_strips(page)) == 2 * 4  # their alpha is stored, as they were accepted when built
    assert "Judged by" not in _page(built)
    (Path(f"{built.storage}") / layout.INDEX).unlink()
    with pytest.raises(OutputError, match="not finished"):
        write_report(built, ReportConfig(enabled=True, masklets=24, frames=3, gate="strict"))


def test_an_unknown_gate_is_refused(tmp_path: Path) -> None:
    built = _build(tmp_path / "set")
    finalize(built)
    with pytest.raises(OutputError, match=r"no gates/strict\.parquet"):
        write_report(built, ReportConfig(enabled=True, masklets=24, frames=3, gate="strict"))


def test_a_histogram_holds_every_masklet_and_its_gates_inside_the_plot() -> None:
    gate = Limit("outside_mass", "quality.max_outside_mass", 0.05, upper=True)
    values = {"accepted": np.array([0.0, 0.01, np.nan]), "rejected": np.array([0.08, 5.0])}
    drawn = histogram("outside_mass", values, [gate])
    assert drawn is not None
    assert drawn.summary.startswith("4 masklets: ")
    assert drawn.summary.endswith("2 beyond quality.max_outside_mass=0.05")
    assert 0 < drawn.limits[0].x < PLOT_WIDTH
    for box in drawn.boxes:
        assert 0 <= box.x <= box.x + box.width <= PLOT_WIDTH
        assert 0 <= box.y <= box.y + box.height <= PLOT_HEIGHT + 0.1
    assert histogram("flicker", {"accepted": np.array([np.nan])}, []) is None
    assert sum(int(count) for row in drawn.numbers for count in row[1:]) == 4


def test_the_rate_over_time_leaves_out_what_was_made_before_the_first_receipt() -> None:
    drawn = rate(np.array([7200.0, 0.0, 3600.0]), np.array([7200.0, 500.0, 0.0]))
    assert drawn.summary == "1.0 alpha frames per second, over 2 h"
    assert drawn.numbers[-1] == ("1.94 h to 2 h", "32.0")
    assert [row[1] for row in drawn.numbers[:-1]] == ["0.0"] * 31


# all rows, for the page's script


def test_every_row_reaches_the_script(tmp_path: Path) -> None:
    packed = _packed(_page(_build(tmp_path / "set")))
    columns, scores = packed["columns"], packed["scores"]
    assert columns["key"] == ["clip_0", "bad_1", "clip_2"]
    assert columns["masklet"] == ["manual_000", None, "manual_000"]
    assert columns["status"] == ["accepted", "failed", "accepted"]
    assert columns["reasons"] == ["", "corrupt", ""]
    assert HOSTILE in columns["error"][1]
    assert list(scores)[:4] == ["quality", "outside_mass", "core_loss", "area_ratio"]
    assert {len(values) for values in (*columns.values(), *scores.values())} == {packed["rows"]}
    limits = {(gate["score"], gate["upper"]): gate["limit"] for gate in packed["limits"]}
    assert limits["area_ratio", False] == 0.5


def test_scores_that_would_make_a_page_too_large_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, gates = _rows(10), limits_of({"max_outside_mass": 0.05})

    def scores() -> list[str]:
        return list(json.loads(zlib.decompress(base64.b64decode(pack(rows, gates))))["scores"])

    assert scores() == ["quality", "outside_mass", "area_ratio", "mask_iou"]
    monkeypatch.setattr(masklets, "_VALUES", 33)
    assert scores() == ["quality", "outside_mass", "area_ratio"]
    monkeypatch.setattr(masklets, "_VALUES", 1)
    assert scores() == ["quality", "outside_mass"]


# the choice


def _rows(count: int) -> pa.Table:
    """Masklets whose outside mass grows from 0 to .1, rejected above .05; quality falls."""
    rows = [
        {
            "key": f"clip_{n:03d}",
            "masklet": "manual_000",
            "shard": "mav-000000",
            "status": "rejected" if n > count // 2 else "accepted",
            "reasons": [],
            "outside_mass": 0.1 * n / count,
            "area_ratio": 1.0,
            "mask_iou": 0.9 if n else 0.1,
            "quality": 1 - n / count,
        }
        for n in range(count)
    ]
    rows.append({"key": "whole", "status": "failed", "reasons": ["corrupt"]})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _chosen(rows: pa.Table, gates: Sequence[Limit], count: int) -> list[Choice]:
    stored = np.array([name is not None for name in rows["masklet"].to_pylist()], bool)
    return choose(rows, gates, count, stored=stored)


def test_the_choice_covers_every_corner() -> None:
    gates = limits_of({"max_outside_mass": 0.05, "max_core_loss": None})
    chosen = _chosen(_rows(100), gates, 12)
    assert len({choice.name for choice in chosen}) == len(chosen) == 12

    def of(group: str) -> list[str]:
        return [choice.key for choice in chosen if group in choice.groups]

    assert of("worst") == ["clip_099", "clip_098", "clip_097"]
    assert of("best") == ["clip_000", "clip_001", "clip_002"]
    assert of("borderline") == ["clip_050", "clip_051", "clip_049"]
    assert len(of("random")) >= 3
    assert chosen[6].strain == pytest.approx(1)
    assert chosen == _chosen(_rows(100), gates, 12)


def test_a_small_set_has_every_group_and_no_masklet_twice() -> None:
    chosen = _chosen(_rows(3), limits_of({"max_outside_mass": 0.05}), 24)
    assert len(chosen) == 3
    assert {group for choice in chosen for group in choice.groups} == {
        *("worst", "best", "borderline", "random")
    }


def test_only_what_the_shards_hold_is_chosen() -> None:
    rows = _rows(10)
    stored = np.array([status == "accepted" for status in rows["status"].to_pylist()], bool)
    chosen = choose(rows, limits_of({"max_outside_mass": 0.05}), 50, stored=stored)
    assert {choice.key for choice in chosen} == {f"clip_{n:03d}" for n in range(6)}


def test_sets_without_quality_are_ranked_by_strain() -> None:
    rows = _rows(10)
    place = rows.schema.get_field_index("quality")
    rows = rows.set_column(place, "quality", pa.nulls(len(rows), pa.float64()))
    chosen = _chosen(rows, limits_of({"max_outside_mass": 0.05}), 4)
    assert (chosen[0].key, chosen[0].groups[0]) == ("clip_009", "worst")
    assert (chosen[1].key, chosen[1].groups[0]) == ("clip_000", "best")


def test_gates_at_zero_and_sets_without_gates_are_fine() -> None:
    assert len(_chosen(_rows(10), limits_of({"max_outside_mass": 0}), 4)) == 4
    assert not any("borderline" in choice.groups for choice in _chosen(_rows(10), (), 4))
    assert _chosen(SCHEMA.empty_table(), (), 4) == []
