"""VideoMaMa's entry in the registry of backends."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec

from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.matting.videomama.backend import VideoMaMaBackend
from mav_pipeline.matting.videomama.config import VideoMaMaConfig


def _gpus(config: VideoMaMaConfig, there_are: bool) -> float:
    """One, unless the model falls to the CPU."""
    return float(config.device == "cuda" or (config.device == "auto" and there_are))


def _largest_batch(config: VideoMaMaConfig, endpoint_url: str | None) -> int | None:
    """None where no GPU is here. Raises SetupError as ``VideoMaMaBackend.setup``."""
    if config.device == "cpu" or find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    with contextlib.closing(VideoMaMaBackend(config, endpoint_url)) as backend:
        backend.setup()
        return backend.largest_batch()


KIND = BackendKind(
    name="videomama",
    about="the model: our own one-step forward over diffusers' modules; one GPU a worker",
    config=VideoMaMaConfig,
    open=VideoMaMaBackend,
    revision=2,  # 1 batched windows of all times together, which moved one pixel in 1e5 by 1/255
    extra="videomama",
    modules=("torch", "diffusers"),
    packages=("torch", "diffusers"),
    gpus=_gpus,
    largest_batch=_largest_batch,
    licence="Stability AI Community License",
    cites=(
        "Lim et al.: VideoMaMa: Mask-Guided Video Matting via Generative Prior, arXiv 2601.14255",
    ),
)
