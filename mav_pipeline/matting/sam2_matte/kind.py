"""SAM2-Matte's entry in the registry of backends."""

from __future__ import annotations

from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.matting.sam2_matte.backend import Sam2MatteBackend
from mav_pipeline.matting.sam2_matte.config import Sam2MatteConfig


def _gpus(config: Sam2MatteConfig, there_are: bool) -> float:
    """One, unless the model falls to the CPU."""
    return float(config.device == "cuda" or (config.device == "auto" and there_are))


KIND = BackendKind(
    name="sam2_matte",
    about="a trained SAM 2: tracks an object from its first mask on; one GPU a worker",
    config=Sam2MatteConfig,
    open=lambda config, endpoint_url: Sam2MatteBackend(config),
    extra="train",
    modules=("torch", "transformers"),
    packages=("torch", "transformers"),
    gpus=_gpus,
    licence="that of the weights; Meta's of SAM 2 are under Apache-2.0",
    cites=("Ravi et al.: SAM 2: Segment Anything in Images and Videos, arXiv 2408.00714",),
)
