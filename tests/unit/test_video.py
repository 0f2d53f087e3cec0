"""Only whole videos of the right length come in; alpha goes out lossless, the same each time."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mav_pipeline.media.decode import alpha_rate, decode_alpha
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.media.images import decode_png, encode_png
from mav_pipeline.media.sizing import SizeRule
from mav_pipeline.media.video import VideoFacts, annotated_frames, probe_video
from mav_pipeline.schema import Alpha, Frames, WorkingSize
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Sizing
from tests.fakes import HEIGHT, NATIVE, WIDTH, encode_mp4, level, pictures

ANNOTATED = 3
VIDEO = encode_mp4(pictures(9))  # frames 0, 4 and 8 are annotated ones


@dataclass(frozen=True, slots=True)
class Decoded:
    """What both passes give."""

    facts: VideoFacts
    size: WorkingSize
    frames: Frames
    jpegs: dict[int, bytes]


def decode(
    data: bytes, annotated: int | None = ANNOTATED, sizing: Sizing = NATIVE, **changes: Any
) -> Decoded:
    settings = {"step": 4, "max_pixels": 10**7}
    facts = probe_video(data, annotated=annotated, **{**settings, **changes})
    size, jpegs = sizing(facts.height, facts.width), dict[int, bytes]()
    frames = [*annotated_frames(data, facts, size, jpeg=jpegs.__setitem__)]
    assert len(frames) == len(facts.indices)
    return Decoded(facts, size, np.stack(frames), jpegs)


def refused(data: bytes, annotated: int = ANNOTATED, **changes: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        decode(data, annotated, **changes)
    assert (caught.value.role, caught.value.stage) == ("video", "decode")
    return caught.value


def marked() -> bytes:
    """A black video whose top left quarter is red and top right quarter green."""
    frames = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, : HEIGHT // 2, : WIDTH // 2, 0] = 255
    frames[:, : HEIGHT // 2, WIDTH // 2 :, 1] = 255
    return encode_mp4(frames)


def corners(frame: np.ndarray[Any, Any]) -> str:
    """Colours clockwise from the top left."""
    height, width = frame.shape[0], frame.shape[1]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    places = [(rows[0], columns[0]), (rows[0], columns[1])]
    places += [(rows[1], columns[1]), (rows[1], columns[0])]
    return "".join("RG-"[int(np.argmax([*frame[place][:2], 100]))] for place in places)


def sound_only() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def without_pictures(data: bytes) -> bytes:
    """The mp4 with its headers whole and its picture data zeroed."""
    start = data.index(b"mdat") + 4
    return data[:start] + bytes(data.index(b"moov") - 4 - start) + data[data.index(b"moov") - 4 :]


# the annotated frames


def test_the_annotated_frames_are_decoded_and_no_others() -> None:
    video = decode(VIDEO)
    assert (video.facts.height, video.facts.width, video.facts.fps) == (HEIGHT, WIDTH, 24.0)
    assert video.facts.indices == (0, 4, 8)
    assert video.frames.shape == (3, HEIGHT, WIDTH, 3)
    for index, frame in zip(video.facts.indices, video.frames, strict=True):
        assert np.abs(frame.astype(int) - level(index)).max() <= 3


def test_frames_come_at_the_working_size() -> None:
    rule = SizeRule(mode="fit", max_pixels=32 * 32, width=1, height=1, multiple=16)
    video = decode(VIDEO, sizing=rule)
    assert (video.size.height, video.size.width) == (24, 32)
    assert video.frames.shape == (3, 32, 32, 3)
    assert (video.facts.height, video.facts.width) == (HEIGHT, WIDTH)
    assert np.abs(video.frames[2].astype(int) - level(8)).max() <= 3


def test_jpegs_hold_the_annotated_frames_at_source_size() -> None:
    rule = SizeRule(mode="stretch", max_pixels=1, width=16, height=16)
    (picture,) = decode(marked(), 1, sizing=rule).jpegs.values()
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert corners(image[..., ::-1]) == "RG--"


@pytest.mark.parametrize("frames", [5, 6, 9, 12, 13, 16])
def test_one_annotated_frame_less_or_more_is_accepted(frames: int) -> None:
    video = decode(encode_mp4(pictures(frames)))
    assert video.facts.indices == (0, 4, 8)[: -(-frames // 4)]


@pytest.mark.parametrize(("frames", "have"), [(1, 1), (4, 1), (17, 5), (40, 5)])
def test_two_annotated_frames_less_or_more_are_refused(frames: int, have: int) -> None:
    error = refused(encode_mp4(pictures(frames)))
    assert (error.reason, error.status) == ("frame_count", "failed")
    assert f"{have} {'or more ' if frames > 16 else ''}annotated ones" in error.cause
    assert "the json annotates 3" in error.cause


def test_without_an_annotation_all_frames_of_the_video_are_there() -> None:
    video = decode(VIDEO, None)
    assert video.facts.indices == (0, 4, 8)
    assert decode(VIDEO, None, step=1).facts.indices == tuple(range(9))
    assert decode(encode_mp4(pictures(1)), None).facts.indices == (0,)


# in pieces


class Watched:
    """A video that lies elsewhere, and what was read of it.

    Attributes:
        opened: its streams, each closed by whoever opened it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.opened: list[io.BytesIO] = []

    @property
    def size(self) -> int:
        return len(self._data)

    def open(self) -> io.BytesIO:
        self.opened.append(io.BytesIO(self._data))
        return self.opened[-1]


@functools.cache
def long_video() -> bytes:
    """40 frames of noise, each a key frame: more bytes than FFmpeg reads ahead."""
    noise = np.random.default_rng(3).integers(0, 256, (40, 288, 384, 3), np.uint8)
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream: Any = container.add_stream("mjpeg", rate=24)
        stream.height, stream.width, stream.pix_fmt = 288, 384, "yuvj420p"
        for frame in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def test_frames_are_decoded_as_they_are_taken() -> None:
    video = Watched(long_video())
    facts = probe_video(video, step=1, annotated=40, max_pixels=10**6)
    assert all(stream.closed for stream in video.opened)
    frames = annotated_frames(video, facts, NATIVE(facts.height, facts.width))
    next(frames)
    assert video.opened[-1].tell() < video.size // 2
    frames.close()  # type: ignore[attr-defined]
    assert video.opened[-1].closed


@pytest.mark.parametrize("where", [20, 39])
def test_a_fault_shows_when_its_frame_is_due(where: int) -> None:
    """The row is the same wherever it lies; frames before it have been given by then."""
    data = bytearray(long_video())
    with av.open(io.BytesIO(data)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][where]
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    facts = probe_video(bytes(data), step=1, annotated=40, max_pixels=10**6)
    frames = annotated_frames(bytes(data), facts, NATIVE(facts.height, facts.width))
    assert drained(itertools.islice(frames, where)) == where
    with pytest.raises(InputError) as caught:
        next(frames)
    assert (caught.value.reason, caught.value.stage, caught.value.role) == (
        *("corrupt", "decode", "video"),
    )


def test_a_video_that_is_not_what_was_counted_is_refused() -> None:
    facts = probe_video(VIDEO, step=4, annotated=3, max_pixels=10**6)
    for other in (encode_mp4(pictures(7)), encode_mp4(pictures(9, 32, 32))):
        with pytest.raises(InputError, match=r"its packets told of 3|is 32x32, the first 64x48"):
            drained(annotated_frames(other, facts, NATIVE(HEIGHT, WIDTH)))


# what is no video


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert refused(b"").reason == "empty"


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text, not a video" * 100,
        VIDEO[: len(VIDEO) // 2],
        VIDEO[:100],
        b"\0" * 5000,
        without_pictures(VIDEO),
    ],
    ids=["text", "half", "head", "zeros", "pictures zeroed"],
)
def test_what_cannot_be_decoded_is_corrupt(data: bytes) -> None:
    error = refused(data)
    assert (error.reason, error.status) == ("corrupt", "failed")
    assert "<" not in error.cause, "the object's address differs from run to run"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_video_or_an_input_error(data: st.DataObject) -> None:
    damaged = bytearray(VIDEO)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(VIDEO) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):  # and nothing else may rise
        assert 2 <= len(decode(bytes(damaged)).facts.indices) <= 3


def test_sound_alone_is_no_video() -> None:
    assert refused(sound_only()).reason == "no_video"


def test_a_bomb_is_skipped_before_a_frame_is_decoded() -> None:
    bomb = without_pictures(VIDEO)  # decoding it would find it corrupt
    error = refused(bomb, max_pixels=HEIGHT * WIDTH - 1)
    assert (error.reason, error.status) == ("max_pixels", "skipped")
    assert f"source.max_pixels is {HEIGHT * WIDTH - 1}" in error.cause
    assert decode(VIDEO, max_pixels=HEIGHT * WIDTH).facts.width == WIDTH


# alpha


def noise(count: int = 4, height: int = 37, width: int = 51) -> Alpha:
    return np.random.default_rng(1).integers(0, 256, (count, height, width), np.uint8)


def encode(alpha: Alpha) -> bytes:
    file = io.BytesIO()
    encoder = AlphaEncoder(*alpha.shape[1:], Fraction(6), file)
    for frame in alpha:
        encoder.write(frame)
    encoder.close()
    return file.getvalue()


def test_ffv1_is_lossless_at_odd_sizes() -> None:
    for alpha in (noise(), noise(2, 2, 2), noise(1, 3, 301)):
        np.testing.assert_array_equal(np.stack([*decode_alpha(encode(alpha))]), alpha)


def test_ffv1_gives_the_same_bytes_at_any_time_and_on_any_thread() -> None:
    alpha = noise()
    with ThreadPoolExecutor(4) as pool:
        assert {encode(alpha), *pool.map(encode, [alpha] * 8)} == {encode(alpha)}


def test_every_alpha_frame_is_a_key_frame_at_the_annotated_rate() -> None:
    with av.open(io.BytesIO(encode(noise()))) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 6
        assert [frame.key_frame for frame in container.decode(stream)] == [True] * 4


def drained(frames: Iterator[Any]) -> int:
    return sum(1 for _ in frames)


@pytest.mark.parametrize(
    "data", [b"", b"text", encode(noise())[:200], VIDEO], ids=["empty", "text", "head", "mp4"]
)
def test_what_is_no_alpha_stream_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"FFV1|gray"):
        drained(decode_alpha(data))


def test_png_is_lossless_and_other_pngs_are_refused() -> None:
    alpha = noise(1)[0]
    np.testing.assert_array_equal(decode_png(encode_png(alpha)), alpha)
    assert encode_png(alpha) == encode_png(alpha)
    _, coloured = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))
    _, deep = cv2.imencode(".png", np.zeros((4, 5), np.uint16))
    for data in (coloured.tobytes(), deep.tobytes(), b"text"):
        with pytest.raises(ValueError, match="8-bit gray"):
            decode_png(data)


@pytest.mark.parametrize(
    ("fps", "step", "rate"),
    [(24.0, 4, Fraction(6)), (24000 / 1001, 4, Fraction(6000, 1001)), (30.0, 1, Fraction(30))],
)
def test_the_rate_of_alpha_is_that_of_the_annotations(
    fps: float, step: int, rate: Fraction
) -> None:
    assert float(alpha_rate(fps, step)) == pytest.approx(float(rate), rel=1e-5)
