"""What configured values may be: types with their bounds, and a rule between keys."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval
from pydantic import BeforeValidator, ConfigDict

from mav_pipeline.schema.errors import ConfigError

#: Of each group: no value is converted but a whole number to a float, no key passed over.
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def _text(value: Any) -> Any:
    """YAML reads an id such as 000123 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def listed(value: Any) -> Any:
    """One text is a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed)]
Natural = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]

#: Marks a key of a fingerprinted group that reaches no byte of a shard: a location, a budget.
UNHASHED = "unhashed"


def require(ok: bool, key: str, rule: str, value: object) -> None:
    """Raises ConfigError unless ``ok``: for rules that a type cannot say."""
    if not ok:
        raise ConfigError(f"{key} must be {rule}, not {value!r}")
