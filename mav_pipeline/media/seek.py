"""The wanted frames of a stored video, and few others decoded than they need."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import av

from mav_pipeline.media.decode import upright
from mav_pipeline.schema import Frame


def decode_frames(data: bytes, numbers: Sequence[int]) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of ascending ``numbers``: those of ``decode_video`` at native size.

    Decodes from the last key frame before the first of them to the last of them, and on the way
    leaves out what is neither wanted nor needed to predict another frame.

    Raises:
        ValueError: the video cannot be decoded, or ends before.
    """
    left = list(numbers)
    try:
        with av.open(io.BytesIO(data), mode="r", metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            packets = [*container.demux(stream)]
            for number, frame in _decoded(stream.codec_context, packets, numbers):
                if left and number == left[0]:
                    yield upright(frame)
                    left.pop(0)
                if not left:
                    return
    except (av.FFmpegError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the video cannot be decoded: {error}") from error
    raise ValueError(f"the video has no frame {left[0]}")


def _decoded(
    context: Any, packets: Sequence[Any], wanted: Sequence[int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, in order; all that are ``wanted``, and some more."""
    numbers = _numbers(packets)
    if not wanted or numbers is None or len(numbers) <= wanted[-1]:
        frames = (frame for packet in packets for frame in packet.decode())
        yield from enumerate(frames)
        return
    pictures = [numbers.get(packet.pts, -1) for packet in packets]
    keys = (at for at, packet in enumerate(packets) if packet.is_keyframe)
    start = max(at for at in keys if pictures[at] <= wanted[0])
    for packet, number in zip(packets[start:], pictures[start:], strict=True):
        context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
        for frame in packet.decode():
            yield numbers.get(frame.pts, -1), frame


def _numbers(packets: Sequence[Any]) -> dict[int, int] | None:
    """The number of each frame by its time, or None where times do not tell.

    They do where the first packet is a key frame and the first one shown: else the decoder may drop
    what it cannot predict, and counts without it.
    """
    times = [packet.pts for packet in packets if packet.size]
    known = None not in times and len(set(times)) == len(times)
    if not (times and known and packets[0].is_keyframe and times[0] == min(times)):
        return None
    if any(packet.is_discard for packet in packets):
        return None
    return {time: number for number, time in enumerate(sorted(times))}
