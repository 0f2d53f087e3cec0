"""The typed configuration: what ``conf/`` may say, checked when it is built.

    conf/ + overrides -> compose (Hydra) -> plain dicts -> RunConfig, a dataclass a group

Defaults stand in ``conf/`` with their reasons, so a key without a value there is an error here.
Which sources and backends there are, and their own keys, it is told: ``RunConfig.from_mapping``.
"""

from __future__ import annotations

from mav_pipeline.config.commands import (
    EvaluateConfig,
    ExportConfig,
    PlanConfig,
    RegateConfig,
    ReportConfig,
    SampleConfig,
    SampleKind,
    VerifyConfig,
)
from mav_pipeline.config.matting import MattingConfig
from mav_pipeline.config.output import AUTO, BOUNDS, Bound, Fitted, OutputConfig, QualityConfig, Rgb
from mav_pipeline.config.run import CHOSEN, FINGERPRINTED, RunConfig
from mav_pipeline.config.runtime import ResumeConfig, RuntimeConfig, StorageConfig
from mav_pipeline.config.source import SourceConfig
from mav_pipeline.config.train import TrainConfig

__all__ = [
    "AUTO",
    "BOUNDS",
    "CHOSEN",
    "FINGERPRINTED",
    "Bound",
    "EvaluateConfig",
    "ExportConfig",
    "Fitted",
    "MattingConfig",
    "OutputConfig",
    "PlanConfig",
    "QualityConfig",
    "RegateConfig",
    "ReportConfig",
    "ResumeConfig",
    "Rgb",
    "RunConfig",
    "RuntimeConfig",
    "SampleConfig",
    "SampleKind",
    "SourceConfig",
    "StorageConfig",
    "TrainConfig",
    "VerifyConfig",
]
