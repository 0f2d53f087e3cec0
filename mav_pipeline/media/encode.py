"""PyAV encodes: alpha to FFV1, pictures to H.264; the same frames give the same bytes.

Both streams say how their values are meant, so that no player has to guess.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from mav_pipeline.schema import AlphaFrame, Frame

_BITEXACT = 1 << 23  # AV_CODEC_FLAG_BITEXACT


class Encoder:
    """Encodes frame by frame, the same bytes each time; of each kind there is a class.

    Args:
        container: opened to write into a file that is seekable and empty; whoever gives the file
            closes it.
        rate: frames a second.
    """

    def __init__(
        self,
        container: Any,
        codec: str,
        pixels: str,
        shape: tuple[int, int],
        rate: Fraction | int,
        options: dict[str, str],
    ) -> None:
        self._container, self._count = container, 0
        self._stream = container.add_stream(codec, rate=rate, options=options)
        self._stream.height, self._stream.width = shape
        self._stream.pix_fmt = pixels
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.flags |= _BITEXACT

    def add(self, frame: av.VideoFrame) -> None:
        """Appends a frame in the pixels of the stream."""
        frame.pts = self._count
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finishes the file, which stays open."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def bitexact(file: BinaryIO, format_: str, **more: Any) -> Any:
    """A container that is written into ``file`` without time, version or chance."""
    options = {"fflags": "+bitexact", **more.pop("options", {})}
    return av.open(file, mode="w", format=format_, container_options=options, **more)


class AlphaEncoder(Encoder):
    """Alpha as FFV1 gray in Matroska, tagged as full range: 0 is transparent, 255 opaque.

    FFV1 level 3, 4 slices, every frame a key frame: a loader seeks to any frame at no cost.
    """

    def __init__(self, height: int, width: int, rate: Fraction, file: BinaryIO) -> None:
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
        container = bitexact(file, "matroska")
        super().__init__(container, "ffv1", "gray", (height, width), rate, options)
        self._stream.codec_context.color_range = ColorRange.JPEG

    def write(self, alpha: AlphaFrame) -> None:
        """Appends one (H, W) frame."""
        self.add(av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray"))


class VideoEncoder(Encoder):
    """RGB as H.264 in mp4, which every player shows; sides are even.

    Converted to BT.709 in limited range and tagged so, its index in front, so that a browser plays
    it while it loads.
    """

    def __init__(
        self,
        height: int,
        width: int,
        rate: Fraction | int,
        crf: int,
        file: BinaryIO,
    ) -> None:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        # Else x264's SIMD decides by memory that nobody wrote, and now and then bytes differ.
        options["x264-params"] = "cpu-independent=1"
        container = bitexact(
            file,
            "mp4",
            options={"movflags": "+faststart"},
            # To move the index to the front, FFmpeg opens what it has written once more.
            io_open=lambda url, flags, options: _Again(file),
        )
        super().__init__(container, "libx264", "yuv420p", (height, width), rate, options)
        context = self._stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

    def write(self, frame: Frame) -> None:
        """Appends one (H, W, 3) frame."""
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        self.add(
            picture.reformat(
                format="yuv420p",
                interpolation="AREA",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        )


class _Again:
    """A file that is being written, read from a place of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0

    def read(self, count: int) -> bytes:
        """The next bytes, at most ``count``."""
        there = self._file.tell()
        self._file.seek(self._at)
        data = self._file.read(count)
        self._file.seek(there)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Only from the beginning or from here: FFmpeg asks for nothing else."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at}[whence]
        return self._at

    def tell(self) -> int:
        """Where it reads next."""
        return self._at
