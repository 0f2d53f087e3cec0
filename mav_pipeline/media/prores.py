"""What editors cut with: ProRes in QuickTime, of 10 bits, tagged BT.709; the same bytes each time.

Y'CbCr of limited range, which is the only one that ProRes has:

    Y = 64 + 876 y,  Cb, Cr = 512 + 896 c    for y in [0, 1], c in [-.5, .5] (ITU-R BT.709)
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from mav_pipeline.media.encode import Encoder, bitexact
from mav_pipeline.schema import AlphaFrame, Frame

_BLACK, _LUMA, _CHROMA, _NEUTRAL = 64, 876, 896, 512

_RED, _BLUE = 0.2126, 0.0722
_WEIGHTS = np.array([_RED, 1 - _RED - _BLUE, _BLUE])
#: From R'G'B' in [0, 255] to Y'CbCr of 10 bits.
_MATRIX = (
    np.stack(
        [
            _LUMA * _WEIGHTS,
            _CHROMA * ([0, 0, 1] - _WEIGHTS) / (2 * (1 - _BLUE)),
            _CHROMA * ([1, 0, 0] - _WEIGHTS) / (2 * (1 - _RED)),
        ]
    )
    / 255
).astype(np.float32)
_OFFSETS = np.array([_BLACK, _NEUTRAL, _NEUTRAL], np.float32)

_Plane = NDArray[np.uint16]  # (H, W), 10 bits


class _ProRes(Encoder):
    """ProRes of 10 bits.

    Args:
        rate: frames a second.
        file: to write into, seekable and empty; whoever gives it closes it.
    """

    def __init__(
        self,
        profile: str,
        pixels: str,
        shape: tuple[int, int],
        rate: Fraction,
        file: BinaryIO,
    ) -> None:
        self._shape, self._pixels = shape, pixels
        # Apple's sign: without it some editors refuse the file.
        options = {"profile": profile, "vendor": "apl0"}
        super().__init__(bitexact(file, "mov"), "prores_ks", pixels, shape, rate, options)
        _tag(self._stream.codec_context)

    def _planes(self, planes: Sequence[_Plane]) -> None:
        height, width = self._shape
        frame: Any = av.VideoFrame(width, height, self._pixels)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
            rows[:, : plane.width] = values
        _tag(frame)
        self.add(frame)


class ColourProRes(_ProRes):
    """Colours with straight alpha as ProRes 4444; alpha is lossless, in 10 bits."""

    def __init__(self, height: int, width: int, rate: Fraction, file: BinaryIO) -> None:
        super().__init__("4444", "yuva444p10le", (height, width), rate, file)

    def write(self, colours: Frame, alpha: AlphaFrame) -> None:
        """Appends a frame: (H, W, 3) RGB, not multiplied by its (H, W) alpha."""
        planes = np.rint(colours.astype(np.float32) @ _MATRIX.T + _OFFSETS).astype(np.uint16)
        self._planes([*np.moveaxis(planes, -1, 0), _scaled(alpha, 1023)])


class GrayProRes(_ProRes):
    """Alpha as a gray picture, white where it is opaque, as ProRes 422 HQ: within 1/255 of it."""

    def __init__(self, height: int, width: int, rate: Fraction, file: BinaryIO) -> None:
        super().__init__("hq", "yuv422p10le", (height, width), rate, file)

    def write(self, alpha: AlphaFrame) -> None:
        """Appends an (H, W) frame."""
        height, width = alpha.shape
        neutral = np.full((height, (width + 1) // 2), _NEUTRAL, np.uint16)
        self._planes([_scaled(alpha, _LUMA) + np.uint16(_BLACK), neutral, neutral])


def _tag(thing: Any) -> None:
    """Says of an encoder or a frame how its values are meant."""
    thing.color_range, thing.colorspace = ColorRange.MPEG, Colorspace.ITU709
    thing.color_primaries, thing.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _scaled(alpha: AlphaFrame, top: int) -> NDArray[np.uint16]:
    """Values of [0, 255] in [0, ``top``], to the nearest."""
    levels: NDArray[np.uint16] = np.rint(np.arange(256) * (top / 255)).astype(np.uint16)
    return levels[alpha]
