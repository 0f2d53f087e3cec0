"""Matting backends: binary masks in, alpha out, one clip at a time.

Clip + Masklets -> backend.matte() -> Matte, block by block
"""

from __future__ import annotations

from importlib.util import find_spec

from mav_pipeline.config import MattingConfig
from mav_pipeline.matting.binary import BinaryBackend
from mav_pipeline.matting.closed_form import ClosedFormBackend
from mav_pipeline.matting.videomama.backend import VideoMaMaBackend
from mav_pipeline.schema.interfaces import MattingBackend


def largest_batch(config: MattingConfig, endpoint_url: str | None = None) -> int | None:
    """What ``matting.max_batch`` could be on the GPU of this machine; None where nothing asks.

    Raises:
        SetupError: as ``VideoMaMaBackend.setup``.
    """
    if config.name != "videomama" or config.device == "cpu" or find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    backend = VideoMaMaBackend(config, endpoint_url)
    backend.setup()
    try:
        return backend.largest_batch()
    finally:
        backend.close()


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
