"""PyAV encodes: alpha to FFV1, pictures to H.264; the same frames give the same bytes."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from mav_pipeline.schema import AlphaFrame, Frame


class _Encoder:
    """Encodes frame by frame, the same bytes each time."""

    def __init__(
        self,
        container: str,
        codec: Literal["ffv1", "libx264"],
        pixels: str,
        shape: tuple[int, int],
        rate: Fraction | int,
        options: dict[str, str],
    ) -> None:
        self._buffer = io.BytesIO()
        self._container = av.open(
            self._buffer, mode="w", format=container, container_options={"fflags": "+bitexact"}
        )
        self._stream: Any = self._container.add_stream(codec, rate=rate, options=options)
        self._stream.height, self._stream.width = shape
        self._stream.pix_fmt = pixels
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT
        self._count = 0

    def _add(self, frame: av.VideoFrame) -> None:
        frame.pts = self._count
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> bytes:
        """Finishes the file and returns its bytes."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()


class AlphaEncoder(_Encoder):
    """Alpha as FFV1 gray in Matroska.

    FFV1 level 3, 4 slices, every frame a key frame: a loader seeks to any frame at no cost.
    """

    def __init__(self, height: int, width: int, rate: Fraction) -> None:
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
        super().__init__("matroska", "ffv1", "gray", (height, width), rate, options)

    def write(self, alpha: AlphaFrame) -> None:
        """Appends one (H, W) frame."""
        self._add(av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray"))


class VideoEncoder(_Encoder):
    """RGB as H.264 in mp4, which every player shows; sides are even."""

    def __init__(self, height: int, width: int, rate: Fraction | int, crf: int) -> None:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        # Else x264's SIMD decides by memory that nobody wrote, and now and then bytes differ.
        options["x264-params"] = "cpu-independent=1"
        super().__init__("mp4", "libx264", "yuv420p", (height, width), rate, options)

    def write(self, frame: Frame) -> None:
        """Appends one (H, W, 3) frame."""
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        self._add(picture.reformat(format="yuv420p", interpolation="AREA", threads=1))
