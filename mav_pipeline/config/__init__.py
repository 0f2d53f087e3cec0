"""The typed configuration: what ``conf/`` may say, checked when it is built.

Knows nothing of Hydra: ``RunConfig.from_mapping`` takes plain dicts. Defaults stand in ``conf/``
with their reasons, so a field without a value there is an error here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from mav_pipeline.config.commands import (
    ExportConfig,
    GtConfig,
    PlanConfig,
    ReportConfig,
    ResumeConfig,
    RuntimeConfig,
    SampleConfig,
    StorageConfig,
    VerifyConfig,
)
from mav_pipeline.config.pixels import MattingConfig, OutputConfig, QualityConfig, SourceConfig
from mav_pipeline.config.values import build, flatten

__all__ = [
    "FINGERPRINTED",
    "LOCATIONS",
    "NO_BYTES",
    "ExportConfig",
    "GtConfig",
    "MattingConfig",
    "OutputConfig",
    "PlanConfig",
    "QualityConfig",
    "ReportConfig",
    "ResumeConfig",
    "RunConfig",
    "RuntimeConfig",
    "SampleConfig",
    "SourceConfig",
    "StorageConfig",
    "VerifyConfig",
]

#: Keys of fingerprinted groups that never reach a byte of a shard: locations, and the loss budget.
LOCATIONS = ("source.root", "output.root", "matting.base_model", "matting.unet")
NO_BYTES = (*LOCATIONS, "quality.max_failed_fraction")
FINGERPRINTED = ("source", "matting", "quality", "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything one command may need."""

    source: SourceConfig
    matting: MattingConfig
    output: OutputConfig
    quality: QualityConfig
    runtime: RuntimeConfig
    storage: StorageConfig
    resume: ResumeConfig
    verify: VerifyConfig
    sample: SampleConfig
    plan: PlanConfig
    report: ReportConfig
    gt: GtConfig
    export: ExportConfig
    name: str | None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """Builds the typed config from plain dicts and lists.

        Raises:
            ConfigError: an unknown key (naming the nearest), a missing one, or a bad value.
        """
        return build(cls, data)

    def to_mapping(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars."""
        return asdict(self)

    def fingerprinted(self) -> dict[str, Any]:
        """The flat keys that reach pixels or rows, with their values."""
        flat = flatten({group: asdict(getattr(self, group)) for group in FINGERPRINTED})
        return {key: value for key, value in flat.items() if key not in NO_BYTES}
