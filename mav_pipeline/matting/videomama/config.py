"""The keys of ``conf/matting/videomama.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import MattingConfig
from mav_pipeline.config.types import STRICT, UNHASHED, Count, Natural, Positive, Text


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class VideoMaMaConfig(MattingConfig):
    """See ``MattingConfig`` for the keys that all backends have.

    Attributes:
        base_model, unet: where ``vae/`` and ``unet/`` lie: folder, s3:// prefix or hub id; what
            lies there is hashed in their place.
        device, dtype: what the model runs on and in; ``auto`` asks the machine, once a set.
        decode_chunk, decode_overlap: frames decoded at once, and of context on each side.
        max_batch: windows, frames or chunks through the model at once, at most.
        memory_gb: GB (1e9 bytes) of the device; by it and the working size alone fewer go through
            a stage at once, and what does not fit one by one is refused.
        compile: torch.compile the model, for single frames and full windows and chunks.
        rounding: of alpha to 8 bits.
    """

    base_model: Annotated[Text | None, UNHASHED]
    unet: Annotated[Text | None, UNHASHED]
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "float16", "bfloat16"]
    decode_chunk: Count
    decode_overlap: Natural
    max_batch: Count
    memory_gb: Positive
    compile: bool
    rounding: Literal["nearest", "truncate"]
