"""The values that flow through the pipeline, one way, frozen.

    inputs   FileRef -> ClipRef -> ShardSpec
    mattes   Clip + Masklet -> Matte -> Verdict
    records  Sample -> ShardReceipt -> RunReport

Knows nothing of files, clouds, Ray or models.
"""

from __future__ import annotations

from mav_pipeline.schema.inputs import (
    ClipMeasure,
    ClipRef,
    FileRef,
    Plan,
    Problem,
    ShardSpec,
)
from mav_pipeline.schema.mattes import (
    SCORES,
    Alpha,
    AlphaFrame,
    Clip,
    Frame,
    Frames,
    Mask,
    Masklet,
    MaskletStatus,
    Masks,
    Matte,
    MatteFailure,
    Rle,
    Seams,
    Verdict,
    WorkingSize,
)
from mav_pipeline.schema.records import (
    STAGES,
    DataFile,
    RunReport,
    Sample,
    ShardFailure,
    ShardReceipt,
)

__all__ = [
    "SCORES",
    "STAGES",
    "Alpha",
    "AlphaFrame",
    "Clip",
    "ClipMeasure",
    "ClipRef",
    "DataFile",
    "FileRef",
    "Frame",
    "Frames",
    "Mask",
    "Masklet",
    "MaskletStatus",
    "Masks",
    "Matte",
    "MatteFailure",
    "Plan",
    "Problem",
    "Rle",
    "RunReport",
    "Sample",
    "Seams",
    "ShardFailure",
    "ShardReceipt",
    "ShardSpec",
    "Verdict",
    "WorkingSize",
]
