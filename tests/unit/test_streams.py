"""Of whatever holds video, the frames are those that ffmpeg takes, in number and to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mav_pipeline.media.decode import video_frames
from mav_pipeline.media.seek import decode_frames
from mav_pipeline.media.sizing import source_size
from mav_pipeline.media.video import annotated_frames, probe_video
from tests.ffmpeg import made, needs_ffmpeg, shown

pytestmark = needs_ffmpeg

SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24", "-frames:v", "12")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
#: Two fields a frame, of 24 frames a second.
FIELDS = (
    *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=48", "-frames:v", "12"),
    *("-vf", "tinterlace=interleave_top", "-flags", "+ilme+ildct"),
)


def agrees(path: Path) -> None:
    """All ways to read a video give what ffmpeg shows of it."""
    truth, data = shown(path), path.read_bytes()
    assert truth
    np.testing.assert_array_equal([*video_frames(data)], truth)
    facts = probe_video(data, step=1, annotated=None, max_pixels=10**7)
    assert facts.indices == tuple(range(len(truth)))
    size = source_size(facts.height, facts.width)
    np.testing.assert_array_equal([*annotated_frames(data, facts, size)], truth)
    numbers = sorted({0, len(truth) // 2, len(truth) - 1})
    wanted = [truth[number] for number in numbers]
    np.testing.assert_array_equal([*decode_frames(data, numbers)], wanted)


# which stream


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video, a smaller one, and a picture larger than both."""
    folder = tmp_path_factory.mktemp("parts")
    made(folder / "real.mp4", *SOURCE, *H264)
    small = ("-f", "lavfi", "-i", "testsrc=size=32x24:rate=24", "-frames:v", "12")
    made(folder / "small.mp4", *small, *H264, "-crf", "0")
    for name in ("cover.png", "cover.jpg"):
        made(folder / name, "-f", "lavfi", "-i", "color=red:size=256x256", "-frames:v", "1")
    return folder


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("cover.mp4", ("cover.png", "real.mp4"), ("-disposition:v:0", "attached_pic")),
        ("picture.mov", ("cover.jpg", "real.mp4"), ()),  # a track like any other
        ("thumbnail.mp4", ("small.mp4", "real.mp4"), ()),
        ("thumbnail.mkv", ("small.mp4", "real.mp4"), ()),
        ("default.mp4", ("small.mp4", "real.mp4"), ("-disposition:v:1", "0")),
        (
            "default.mkv",
            ("real.mp4", "small.mp4"),
            ("-disposition:v:0", "0", "-disposition:v:1", "default"),
        ),
        ("twice.mov", ("real.mp4", "real.mp4"), ("-c:v:0", "mjpeg", "-q:v:0", "31")),
        ("two.ts", ("small.mp4", "real.mp4"), ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_stream_is_the_one_that_ffmpeg_takes(
    name: str, inputs: Sequence[str], words: Sequence[str], parts: Path, tmp_path: Path
) -> None:
    files = [word for file in inputs for word in ("-i", str(parts / file))]
    maps = [word for number in range(len(inputs)) for word in ("-map", str(number))]
    agrees(made(tmp_path / name, *files, *maps, "-c", "copy", *words))


def test_a_cover_attached_to_matroska_is_passed_over(parts: Path, tmp_path: Path) -> None:
    words = ("-c", "copy", "-attach", str(parts / "cover.jpg"))
    mime = ("-metadata:s:t", "mimetype=image/jpeg")
    path = made(tmp_path / "cover.mkv", "-i", str(parts / "real.mp4"), *words, *mime)
    agrees(path)
    assert len(shown(path)) == 12


def test_the_thumbnail_is_not_the_video(parts: Path, tmp_path: Path) -> None:
    """What the comparisons with ffmpeg stand for, said once in numbers."""
    files = ("-i", str(parts / "small.mp4"), "-i", str(parts / "real.mp4"))
    path = made(tmp_path / "both.mp4", *files, "-map", "0", "-map", "1", "-c", "copy")
    facts = probe_video(path.read_bytes(), step=1, annotated=12, max_pixels=10**6)
    assert (facts.height, facts.width) == (48, 64)


# containers and codecs

KINDS: dict[str, tuple[str, ...]] = {
    "h264.mp4": (*SOURCE, *H264, "-bf", "3", "-g", "5"),
    "h264 open groups.mov": (
        *(*SOURCE, *H264, "-bf", "3"),
        *("-x264-params", "keyint=5:open-gop=1:scenecut=0"),
    ),
    "h264 fragments.m4v": (
        *(*SOURCE, *H264, "-g", "5", "-f", "mp4"),
        *("-movflags", "frag_keyframe+empty_moov"),
    ),
    "h264 without an index.mkv": (*SOURCE, *H264, "-g", "3", "-live", "1"),
    "h264 444 odd.mkv": (
        *("-f", "lavfi", "-i", "testsrc2=size=65x49:rate=24", "-frames:v", "5"),
        *("-c:v", "libx264", "-pix_fmt", "yuv444p"),
    ),
    "h264 fields.mp4": (*FIELDS, *H264),
    "h264.avi": (*SOURCE, *H264),
    "h264 variable.mp4": (*SOURCE, "-vf", "setpts=N*N/24/TB", "-fps_mode", "vfr", *H264),
    "h264 late.mp4": ("-itsoffset", "1.7", *SOURCE, *H264),
    "hevc.mp4": (*SOURCE, "-c:v", "libx265", "-x265-params", "log-level=error"),
    "hevc deep.mkv": (
        *(*SOURCE, "-c:v", "libx265", "-x265-params", "log-level=error:colormatrix=bt2020nc"),
        *("-pix_fmt", "yuv420p10le"),
    ),
    "vp9.webm": (*SOURCE, "-c:v", "libvpx-vp9", "-auto-alt-ref", "1", "-lag-in-frames", "8"),
    "vp8.webm": (*SOURCE, "-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "8"),
    "mjpeg.avi": (*SOURCE, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "prores.mov": (*SOURCE, "-c:v", "prores_ks"),
    "prores fields.mov": (*FIELDS, "-c:v", "prores_ks"),
    "prores 4444.mov": (*SOURCE, "-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"),
    "mpeg4.mp4": (*SOURCE, "-c:v", "mpeg4", "-bf", "2"),
    "xvid packed.avi": (*SOURCE, "-c:v", "libxvid", "-bf", "2"),
    "mpeg2 fields.mkv": (*FIELDS, "-c:v", "mpeg2video"),
    "ffv1.mkv": (*SOURCE, "-c:v", "ffv1"),
    "animation.mov": (*SOURCE, "-c:v", "qtrle"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_each_kind_are_those_of_ffmpeg(kind: str, tmp_path: Path) -> None:
    agrees(made(tmp_path / kind.replace(" ", "_"), *KINDS[kind]))


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_a_video_cut_between_key_frames_begins_where_ffmpeg_begins(
    name: str, tmp_path: Path
) -> None:
    """By an edit list, by negative times, or with frames that nothing predicts."""
    whole = made(tmp_path / "whole.mp4", *KINDS["h264 open groups.mov"])
    agrees(made(tmp_path / name, "-ss", "0.3", "-i", str(whole), "-c", "copy"))


def test_frames_that_are_never_shown_are_not_counted(tmp_path: Path) -> None:
    """VP9's hidden frames, in packets of their own as some recorders write them."""
    vp9 = made(tmp_path / "whole.webm", *KINDS["vp9.webm"])
    path = tmp_path / "split.mkv"
    made(path, "-i", str(vp9), "-c", "copy", "-bsf:v", "vp9_superframe_split")
    assert len(shown(path)) == 12
    agrees(path)
