"""PyAV encodes: alpha to FFV1, pictures to H.264; the same frames give the same bytes.

Both streams say how their values are meant, so that no player has to guess.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from mav_pipeline.schema import AlphaFrame, Frame

_BITEXACT = 1 << 23  # AV_CODEC_FLAG_BITEXACT


class _Encoder:
    """Encodes frame by frame, the same bytes each time.

    Args:
        file: to write into, seekable and empty; whoever gives it closes it.
    """

    def __init__(
        self,
        codec: Literal["ffv1", "libx264"],
        pixels: str,
        shape: tuple[int, int],
        rate: Fraction | int,
        options: dict[str, str],
        file: BinaryIO,
    ) -> None:
        self._container: Any = self._open(file)
        self._stream: Any = self._container.add_stream(codec, rate=rate, options=options)
        self._stream.height, self._stream.width = shape
        self._stream.pix_fmt = pixels
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.flags |= _BITEXACT
        self._count = 0

    def _open(self, file: Any) -> Any:
        """The container that writes into ``file``."""
        raise NotImplementedError

    def _add(self, frame: av.VideoFrame) -> None:
        frame.pts = self._count
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finishes the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


class AlphaEncoder(_Encoder):
    """Alpha as FFV1 gray in Matroska, tagged as full range: 0 is transparent, 255 opaque.

    FFV1 level 3, 4 slices, every frame a key frame: a loader seeks to any frame at no cost.
    """

    def __init__(self, height: int, width: int, rate: Fraction, file: BinaryIO) -> None:
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
        super().__init__("ffv1", "gray", (height, width), rate, options, file)
        self._stream.codec_context.color_range = ColorRange.JPEG

    def _open(self, file: Any) -> Any:
        return av.open(file, mode="w", format="matroska", container_options={"fflags": "+bitexact"})

    def write(self, alpha: AlphaFrame) -> None:
        """Appends one (H, W) frame."""
        self._add(av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray"))


class VideoEncoder(_Encoder):
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
        super().__init__("libx264", "yuv420p", (height, width), rate, options, file)
        context = self._stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

    def _open(self, file: Any) -> Any:
        return av.open(
            file,
            mode="w",
            format="mp4",
            container_options={"fflags": "+bitexact", "movflags": "+faststart"},
            # To move the index to the front, FFmpeg opens what it has written once more.
            io_open=lambda url, flags, options: _Again(file),
        )

    def write(self, frame: Frame) -> None:
        """Appends one (H, W, 3) frame."""
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        self._add(
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
