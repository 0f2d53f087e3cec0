"""Frames fetched from the middle of a video are those that a decode of all of it gives."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.media.seek import decode_frames, key_frames
from mav_pipeline.media.sizing import source_size
from mav_pipeline.media.video import annotated_frames, probe_video
from mav_pipeline.schema import Frames
from tests.fakes import HEIGHT, WIDTH, encode_mp4, pictures

COUNT = 40
CODECS = {
    "closed groups": ("libx264", "keyint=8:bframes=2:open-gop=0:scenecut=0"),
    "open groups": ("libx264", "keyint=8:bframes=3:open-gop=1:scenecut=0:b-adapt=0"),
    "one group": ("libx264", "keyint=1000:bframes=2:scenecut=0"),
    "key frames only": ("libx264", "keyint=1"),
}


@functools.cache
def video(kind: str) -> bytes:
    """COUNT frames of noise that moves."""
    codec, parameters = CODECS[kind]
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH + COUNT, 3), np.uint8)
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        options = {"x264-params": parameters, "threads": "1"}
        stream: Any = container.add_stream(codec, rate=24, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index in range(COUNT):
            view = np.ascontiguousarray(noise[:, index : index + WIDTH])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@functools.cache
def whole(data: bytes, count: int = COUNT) -> Frames:
    facts = probe_video(data, step=1, annotated=count, max_pixels=10**6)
    return np.stack([*annotated_frames(data, facts, source_size(facts.height, facts.width))])


def fetched(data: bytes, numbers: Sequence[int]) -> Frames:
    return np.stack([*decode_frames(data, numbers)])


@pytest.mark.parametrize("kind", CODECS)
@given(st.sets(st.integers(0, COUNT - 1), min_size=1))
def test_fetched_frames_are_those_of_the_whole(kind: str, numbers: set[int]) -> None:
    wanted = sorted(numbers)
    np.testing.assert_array_equal(fetched(video(kind), wanted), whole(video(kind))[wanted])


def test_no_group_is_decoded_but_the_one_that_the_frames_lie_in() -> None:
    """Of 40 frames in groups of 8, 0 to 15 and 32 to 39 cannot be decoded but for key frames."""
    whole_frames, data = whole(video("closed groups")), bytearray(video("closed groups"))
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in (*packets[:16], *packets[32:]):
        if not packet.is_keyframe:
            data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    np.testing.assert_array_equal(fetched(bytes(data), [18, 19]), whole_frames[[18, 19]])
    with pytest.raises(ValueError, match="cannot be decoded"):
        fetched(bytes(data), [10])


def test_groups_between_wanted_frames_are_not_decoded() -> None:
    """Of 40 frames in groups of 8, 8 to 31 cannot be decoded but for key frames."""
    whole_frames, data = whole(video("closed groups")), bytearray(video("closed groups"))
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[8:32]:
        if not packet.is_keyframe:
            data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    np.testing.assert_array_equal(fetched(bytes(data), [3, 35]), whole_frames[[3, 35]])


@pytest.mark.parametrize("kind", CODECS)
def test_key_frames_are_numbered_as_they_are_shown(kind: str) -> None:
    with av.open(io.BytesIO(video(kind))) as container:
        found = [frame.key_frame for frame in container.decode(video=0)]
    assert found.count(True) == {"one group": 1, "key frames only": COUNT}.get(kind, 5)
    assert key_frames(video(kind)) == tuple(np.flatnonzero(found))


def test_a_video_cut_from_a_longer_one_is_counted_as_it_decodes() -> None:
    """Without its first key frame, what shows first is not what the packets say."""
    with av.open(io.BytesIO(video("open groups"))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size][1:]
        buffer = io.BytesIO()
        with av.open(buffer, mode="w", format="mp4") as cut:
            stream = cut.add_stream_from_template(container.streams.video[0])
            for packet in packets:
                packet.stream = stream
                cut.mux(packet)
    data = buffer.getvalue()
    assert key_frames(data) == (0,)
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) < len(packets)
    found = fetched(data, range(len(frames)))
    assert len(found) == len(frames)
    np.testing.assert_allclose(found, frames, atol=12)  # another chroma filter


def test_no_frame_is_wanted_none_is_given() -> None:
    assert [*decode_frames(encode_mp4(pictures(3)), [])] == []


@pytest.mark.parametrize(
    ("data", "numbers", "message"),
    [
        (encode_mp4(pictures(3)), [1, 3], "has no frame 3"),
        (encode_mp4(pictures(3)), [7], "has no frame 7"),
        (b"no video" * 99, [0], "cannot be decoded"),
        (b"", [0], "cannot be decoded"),
    ],
)
def test_what_is_not_there_is_a_value_error(data: bytes, numbers: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(decode_frames(data, numbers))
