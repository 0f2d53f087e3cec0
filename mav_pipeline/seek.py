"""The wanted frames of a stored video, and no others decoded than they need."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import av

from mav_pipeline.schema import Frame
from mav_pipeline.video import upright


def decode_frames(data: bytes, numbers: Sequence[int]) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of ascending ``numbers``: those of ``decode_video`` at native size.

    Nothing is decoded but from the last key frame before the first of them to the last of them.

    Raises:
        ValueError: the video cannot be decoded, or ends before.
    """
    wanted = iter(numbers)
    number = next(wanted, None)
    try:
        with av.open(io.BytesIO(data), mode="r", metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            packets = [*container.demux(stream)]
            at, count, since = _entry(packets, numbers[0]) if numbers else (0, 0, None)
            for frame in itertools.chain.from_iterable(p.decode() for p in packets[at:]):
                if since is not None and (frame.pts is None or frame.pts < since):
                    continue  # shown before the key frame, maybe predicted from what is not here
                if count == number:
                    yield upright(frame)
                    number = next(wanted, None)
                if number is None:
                    return
                count += 1
    except (av.FFmpegError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the video cannot be decoded: {error}") from error
    raise ValueError(f"the video has no frame {number}")


def _entry(packets: Sequence[Any], number: int) -> tuple[int, int, int | None]:
    """Where to begin decoding for frame ``number``: a packet, its frame's number, and its time.

    Frames are numbered by their times, which is the decoder's count only where the first packet is
    a key frame and the first one shown; else, and where times are missing, all is decoded.
    """
    pictures = [packet for packet in packets if packet.size]
    if any(packet.pts is None or packet.is_discard for packet in pictures):
        return 0, 0, None
    times = sorted(packet.pts for packet in pictures)
    if not (number < len(times) and packets[0].is_keyframe and packets[0].pts == times[0]):
        return 0, 0, None
    keys = (at for at, packet in enumerate(pictures) if packet.is_keyframe)
    at = max(at for at in keys if pictures[at].pts <= times[number])
    return at, bisect.bisect_left(times, pictures[at].pts), pictures[at].pts
