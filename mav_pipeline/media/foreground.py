"""An object's own colours, and the object on another ground: for pictures to look at."""

from __future__ import annotations

import logging
import sys
from threading import Lock

import numpy as np

from mav_pipeline.schema import AlphaFrame, Frame

_log = logging.getLogger(__name__)

_LIGHT, _DARK = 225, 165  # of a checkerboard

#: Where numba finds no OpenMP, it aborts a process in which two threads run parallel code at once.
_ONE_AT_A_TIME = Lock()


def foreground(frame: Frame, alpha: AlphaFrame) -> Frame:
    """The object's colours without what lies behind it, F of I = a F + (1 - a) B.

    Germer et al., "Fast Multi-Level Foreground Estimation", ICPR 2020, by pymatting. The first
    call in a process takes a second to load it; the first on a machine compiles for a minute.

    Args:
        frame: (H, W, 3) RGB, the observed colours I.
        alpha: (H, W) in [0, 255].

    Returns:
        (H, W, 3) in [0, 255], the same for the same input; exactly I where alpha is 255, and
        a guess from the surroundings, which no composite shows, where it is 0.
    """
    if frame.shape[:2] == (1, 1):  # pymatting divides by the logarithm of the longer side
        return frame
    if "pymatting" not in sys.modules:
        _log.info("loading pymatting; the first time on a machine it compiles for up to a minute")
    import numba
    from pymatting import estimate_foreground_ml

    image, share = (np.asarray(part, np.float32) / np.float32(255) for part in (frame, alpha))
    with _ONE_AT_A_TIME:
        threads = numba.get_num_threads()
        # Only its copies run in threads, which wait for each other longer than they copy: on a
        # busy machine ten times as long as all the rest takes.
        numba.set_num_threads(1)
        try:
            colours = estimate_foreground_ml(image, share)
        finally:
            numba.set_num_threads(threads)
    return np.where(alpha[..., None] == 255, frame, np.rint(255 * colours).astype(np.uint8))


def on_ground(colours: Frame, alpha: AlphaFrame, ground: Frame) -> Frame:
    """a F + (1 - a) B, rounded (Porter and Duff, 1984, "over").

    Args:
        colours, ground: (H, W, 3), F and B.
        alpha: (H, W) in [0, 255].
    """
    share = alpha[..., None].astype(np.float32) / np.float32(255)
    return np.rint(share * colours + (1 - share) * ground).astype(np.uint8)


def checkerboard(height: int, width: int, square: int) -> Frame:
    """(height, width, 3) of light and dark gray squares, ``square`` pixels wide."""
    y, x = np.indices((height, width)) // square
    gray = np.where((y + x) % 2, _DARK, _LIGHT).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
