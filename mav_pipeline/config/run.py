"""Everything one command may need, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from mav_pipeline.config.commands import (
    EvaluateConfig,
    ExportConfig,
    PlanConfig,
    RegateConfig,
    ReportConfig,
    SampleConfig,
    VerifyConfig,
)
from mav_pipeline.config.matting import MattingConfig
from mav_pipeline.config.output import OutputConfig, QualityConfig
from mav_pipeline.config.parse import flatten, names, parse, unhashed
from mav_pipeline.config.runtime import ResumeConfig, RuntimeConfig, StorageConfig
from mav_pipeline.config.source import SourceConfig
from mav_pipeline.config.train import TrainConfig
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.kinds import Kinds
from mav_pipeline.schema.registry import nearest

#: The groups that reach pixels or rows, and so the fingerprint.
FINGERPRINTED = ("source", "matting", "quality", "output")
#: Those of them whose class follows from their name.
CHOSEN = ("source", "matting")

#: The groups whose class is always the same.
_GROUPS: Mapping[str, type[Any]] = {
    "output": OutputConfig,
    "quality": QualityConfig,
    "runtime": RuntimeConfig,
    "storage": StorageConfig,
    "resume": ResumeConfig,
    "verify": VerifyConfig,
    "sample": SampleConfig,
    "plan": PlanConfig,
    "report": ReportConfig,
    "evaluate": EvaluateConfig,
    "regate": RegateConfig,
    "export": ExportConfig,
    "train": TrainConfig,
}


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
    evaluate: EvaluateConfig
    regate: RegateConfig
    export: ExportConfig
    train: TrainConfig

    @classmethod
    def from_mapping(
        cls, data: Mapping[str, Any], *, sources: Kinds[Any], backends: Kinds[Any]
    ) -> Self:
        """Builds the typed config from plain dicts and lists.

        Args:
            sources, backends: what ``source.name`` and ``matting.name`` may be.

        Raises:
            ConfigError: an unknown key (naming the nearest), a missing one, or a bad value.
        """
        groups = names(cls)
        for group in data:
            if group not in groups:
                raise ConfigError(f"unknown key {group}{nearest(group, groups)}")
        chosen = {
            group: kinds.config_of(_name(data, group))
            for group, kinds in zip(CHOSEN, (sources, backends), strict=True)
        }
        values = {}
        for group, kind in {**chosen, **_GROUPS}.items():
            if group not in data:
                raise ConfigError(f"{group} is missing from the configuration")
            values[group] = parse(kind, data[group], group)
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars."""
        return asdict(self)

    def fingerprinted(self) -> dict[str, Any]:
        """The flat keys that reach pixels or rows, with their values."""
        found: dict[str, Any] = {}
        for group in FINGERPRINTED:
            value = getattr(self, group)
            hidden = unhashed(type(value))
            kept = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in hidden}
            found |= flatten({group: kept})
        return found


def _name(data: Mapping[str, Any], group: str) -> str:
    value = data.get(group)
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError(f"{group}.name must be a text, not {name!r}; choose with {group}=...")
    return name
