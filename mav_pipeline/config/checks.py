"""How a configured value is refused."""

from __future__ import annotations

from mav_pipeline.schema.errors import ConfigError


def require(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"{key} must be {rule}, not {value!r}")
