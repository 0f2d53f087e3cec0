"""The values that flow through the pipeline, one way, frozen.

    inputs      FileRef -> ClipRef -> ShardSpec
    mattes      LoadedClip (Clip + Masklets, frames) -> Matte -> Verdict
    document    SampleDocument, the json of a sample
    content     bytes, or where a lot of them lies
    records     Sample -> ShardReceipt -> RunReport

The tables that all else is made from stand here too: scores, statuses, reasons, errors, and what
changed in which format (version). So do the extension points: interfaces, and the registry that
other packages add to. Knows nothing of files, clouds, Ray or models.
"""

from __future__ import annotations

from mav_pipeline.schema.content import (
    Blob,
    Content,
    Members,
    open_content,
    read_content,
    size_of,
)
from mav_pipeline.schema.inputs import (
    ClipMeasure,
    ClipRef,
    FileRef,
    Plan,
    Problem,
    ShardSpec,
)
from mav_pipeline.schema.mattes import (
    Alpha,
    AlphaFrame,
    Clip,
    Frame,
    Frames,
    LoadedClip,
    Mask,
    Masklet,
    Masks,
    Matte,
    MatteFailure,
    Member,
    Rle,
    Seams,
    Verdict,
    WorkingSize,
)
from mav_pipeline.schema.records import (
    STAGES,
    BackendFacts,
    DataFile,
    RunReport,
    Sample,
    ShardFailure,
    ShardReceipt,
)
from mav_pipeline.schema.scores import SCORE_NAMES, SCORES
from mav_pipeline.schema.statuses import (
    CLIP_STATUSES,
    JUDGED,
    MASKLET_STATUSES,
    ClipStatus,
    MaskletStatus,
    ProblemStatus,
)
from mav_pipeline.schema.version import FORMAT, Stamp

__all__ = [
    "CLIP_STATUSES",
    "FORMAT",
    "JUDGED",
    "MASKLET_STATUSES",
    "SCORES",
    "SCORE_NAMES",
    "STAGES",
    "Alpha",
    "AlphaFrame",
    "BackendFacts",
    "Blob",
    "Clip",
    "ClipMeasure",
    "ClipRef",
    "ClipStatus",
    "Content",
    "DataFile",
    "FileRef",
    "Frame",
    "Frames",
    "LoadedClip",
    "Mask",
    "Masklet",
    "MaskletStatus",
    "Masks",
    "Matte",
    "MatteFailure",
    "Member",
    "Members",
    "Plan",
    "Problem",
    "ProblemStatus",
    "Rle",
    "RunReport",
    "Sample",
    "Seams",
    "ShardFailure",
    "ShardReceipt",
    "ShardSpec",
    "Stamp",
    "Verdict",
    "WorkingSize",
    "open_content",
    "read_content",
    "size_of",
]
