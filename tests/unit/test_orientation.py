"""A video is shown as ffmpeg shows it: turned, mirrored, or refused where that is by halves."""

from __future__ import annotations

import gc
import io
import math
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mav_pipeline.media.decode import video_frames
from mav_pipeline.media.seek import decode_frames
from mav_pipeline.media.sizing import SizeRule, source_size
from mav_pipeline.media.video import annotated_frames, probe_video
from mav_pipeline.schema import Frames
from mav_pipeline.schema.errors import InputError
from tests.fakes import encode_mp4, pictures
from tests.ffmpeg import made, needs_ffmpeg, shown, turned

pytestmark = needs_ffmpeg

ONE = 1 << 16
HEIGHT, WIDTH = 48, 64
Matrix = tuple[int, int, int, int]

UPRIGHT: dict[str, Matrix] = {
    "as stored": (ONE, 0, 0, ONE),
    "mirrored": (-ONE, 0, 0, ONE),
    "flipped": (ONE, 0, 0, -ONE),
    "half a turn": (-ONE, 0, 0, -ONE),
    "a quarter clockwise": (0, ONE, -ONE, 0),
    "a quarter counterclockwise": (0, -ONE, ONE, 0),
    "transposed": (0, ONE, ONE, 0),
    "transposed the other way": (0, -ONE, -ONE, 0),
}


def by_degrees(degrees: float, mirror: int = 1) -> Matrix:
    """Turned clockwise by an angle, mirrored first where ``mirror`` is -1."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return tuple(round(ONE * x) for x in (mirror * cos, mirror * sin, -sin, cos))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three frames that no turn and no mirror leaves as they are."""
    path = tmp_path_factory.mktemp("orientation") / "video.mp4"
    source = ("-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate=24", "-frames:v", "3")
    return made(path, *source, "-c:v", "libx264", "-pix_fmt", "yuv420p").read_bytes()


def agrees(data: bytes, folder: Path) -> None:
    """All that shows frames of ``data`` shows what ffmpeg does, to the bit."""
    path = folder / "turned.mp4"
    path.write_bytes(data)
    truth = shown(path)
    np.testing.assert_array_equal([*video_frames(data)], truth)
    np.testing.assert_array_equal([*decode_frames(data, [0, 2])], truth[::2])
    facts = probe_video(data, step=1, annotated=None, max_pixels=10**6)
    assert (facts.height, facts.width) == truth[0].shape[:2]
    size, jpegs = source_size(facts.height, facts.width), dict[int, bytes]()
    np.testing.assert_array_equal(
        [*annotated_frames(data, facts, size, jpeg=jpegs.__setitem__)], truth
    )
    picture = cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert np.abs(picture[..., ::-1].astype(int) - truth[0]).mean() < 20  # a JPEG of sharp lines


@pytest.mark.parametrize("name", UPRIGHT)
@pytest.mark.parametrize("change", ["exact", "a few units off", "twice as large", "squeezed"])
def test_the_eight_ways_to_lie(name: str, change: str, video: bytes, tmp_path: Path) -> None:
    a, b, c, d = UPRIGHT[name]
    matrix = {
        "exact": (a, b, c, d),
        "a few units off": (a + 3, b - 2, c - 4, d + 1),
        "twice as large": (2 * a, 2 * b, 2 * c, 2 * d),
        "squeezed": (a // 2, b // 2, 3 * c, 3 * d),
    }[change]
    agrees(turned(video, matrix), tmp_path)


@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("degrees", [0.4, -0.4, 89.6, 90.4, 179.6, 180.4, 269.6, 270.4])
def test_angles_are_rounded_as_ffmpeg_rounds_them(
    degrees: float, mirror: int, video: bytes, tmp_path: Path
) -> None:
    agrees(turned(video, by_degrees(degrees, mirror)), tmp_path)


def test_a_single_degree_is_passed_over(video: bytes, tmp_path: Path) -> None:
    agrees(turned(video, by_degrees(1.2)), tmp_path)


@pytest.mark.parametrize(
    "matrix", [(0, 0, 0, 0), (ONE, 0, 0, 0), (0, 0, 0, -ONE), (ONE, 0, 0, -5), (0, 0, ONE, ONE)]
)
def test_a_matrix_without_an_angle_is_taken_as_ffmpeg_takes_it(
    matrix: Matrix, video: bytes, tmp_path: Path
) -> None:
    agrees(turned(video, matrix), tmp_path)


@pytest.mark.parametrize("degrees", [2, 45, 89, 91, 179, 181, 269, 358])
def test_an_odd_angle_is_refused_by_all(degrees: int, video: bytes) -> None:
    data = turned(video, by_degrees(degrees))
    with pytest.raises(InputError) as caught:
        probe_video(data, step=1, annotated=None, max_pixels=10**6)
    assert (caught.value.reason, caught.value.status) == ("rotation", "failed")
    assert f"by {degrees} degrees, a multiple of 90 is wanted" in caught.value.cause
    for frames in (video_frames(data), decode_frames(data, [1])):
        with pytest.raises(ValueError, match=f"{degrees} degrees"):
            next(frames)


LAID: dict[str, Callable[[Frames], Frames]] = {
    "as stored": lambda frames: frames,
    "mirrored": lambda frames: frames[:, :, ::-1],
    "flipped": lambda frames: frames[:, ::-1],
    "half a turn": lambda frames: np.rot90(frames, 2, (1, 2)),
    "a quarter clockwise": lambda frames: np.rot90(frames, 1, (2, 1)),
    "a quarter counterclockwise": lambda frames: np.rot90(frames, 1, (1, 2)),
    "transposed": lambda frames: frames.swapaxes(1, 2),
    "transposed the other way": lambda frames: np.rot90(frames, 2, (1, 2)).swapaxes(1, 2),
}


def working(data: bytes) -> Frames:
    """Frames at half the size, without the padding below and on the right."""
    rule = SizeRule(mode="fit", max_pixels=32 * 32, width=1, height=1, multiple=16)
    facts = probe_video(data, step=1, annotated=None, max_pixels=10**6)
    size = rule(facts.height, facts.width)
    frames = np.stack([*annotated_frames(data, facts, size)])
    assert frames.shape == (3, 32, 32, 3)
    return frames[:, : size.height, : size.width]


@pytest.mark.parametrize("name", UPRIGHT)
def test_frames_are_scaled_as_stored_and_laid_as_shown(name: str, video: bytes) -> None:
    laid = LAID[name](working(video))
    np.testing.assert_array_equal(working(turned(video, UPRIGHT[name])), laid)


def test_side_data_that_pyav_has_no_name_for_hides_no_matrix() -> None:
    """A JPEG frame with EXIF, as some cameras record video."""
    gradient = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    gradient[..., 0], gradient[..., 1] = np.arange(WIDTH) * 3, np.arange(HEIGHT)[:, None] * 4
    image, exif, buffer = Image.fromarray(gradient), Image.Exif(), io.BytesIO()
    exif[0x0112] = 5  # transposed
    image.save(buffer, "JPEG", exif=exif, quality=95)
    (frame,) = video_frames(buffer.getvalue())
    upright = ImageOps.exif_transpose(Image.open(buffer))
    assert np.abs(frame.astype(int) - np.asarray(upright)).max() < 12


def test_frames_that_were_shown_are_let_go() -> None:
    """PyAV holds a frame whose side data was read until the garbage collector comes."""
    data, most = encode_mp4(pictures(8)), 0
    gc.collect()
    gc.disable()
    try:
        for _ in video_frames(data):
            alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
            most = max(most, alive)
    finally:
        gc.enable()
    assert most <= 4
