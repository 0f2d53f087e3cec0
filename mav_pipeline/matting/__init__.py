"""Matting backends: binary masks in, alpha out, one clip at a time.

Clip + Masklets -> backend.matte() -> Matte, block by block
"""

from __future__ import annotations

from mav_pipeline.config import MattingConfig
from mav_pipeline.interfaces import MattingBackend
from mav_pipeline.matting.binary import BinaryBackend
from mav_pipeline.matting.closed_form import ClosedFormBackend
from mav_pipeline.matting.videomama import VideoMaMaBackend


def open_backend(config: MattingConfig, endpoint_url: str | None = None) -> MattingBackend:
    """The backend that ``config`` names; loads nothing."""
    if config.name == "binary":
        return BinaryBackend()
    if config.name == "videomama":
        return VideoMaMaBackend(config, endpoint_url)
    return ClosedFormBackend(
        threads=config.threads,
        band=config.band,
        band_min=config.band_min,
        band_max=config.band_max,
    )
