"""Errors of a matte against its truth, as the matting literature reports them. Pure."""

from __future__ import annotations

import numpy as np

from mav_pipeline.schema import Alpha


def mad(alpha: Alpha, truth: Alpha) -> float:
    """Mean absolute difference of two (T, H, W) 8-bit mattes, in [0, 1], times 1000 (VideoMaMa)."""
    return float(np.abs(alpha.astype(np.int16) - truth).mean() / 255 * 1e3)
