"""What sources and backends have in common: the entries of their registries."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from mav_pipeline.schema.errors import ConfigError, lacks
from mav_pipeline.schema.reasons import Reason
from mav_pipeline.schema.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A source or a backend by its name.

    Attributes:
        name: value of ``source=`` or ``matting=``, and of the YAML in that folder of ``conf/``.
        about: one line for the docs.
        config: class of its group of keys, derived from ``SourceConfig`` or ``MattingConfig``; it
            is hashed whole, but for keys that are marked as ``UNHASHED``.
        revision: raised by whatever moves a pixel, a member or a status under unchanged keys.
        extra: what pip installs it with, for messages; None where the core is enough.
        modules: that must be importable where it works.
        packages: distributions whose versions a set records beside those of the core.
        licence: of its clips (an address) or of its weights (in words); None where there is none.
        cites: works to cite.
        reasons: slugs that its rows have beside those of ``schema.reasons``.
        conf: importable name of the folder that holds its YAML; None where that is ``conf/``.
    """

    name: str
    about: str
    config: type[Any]
    revision: int = 1
    extra: str | None = None
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    licence: str | None = None
    cites: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    conf: str | None = None


K = TypeVar("K", bound=Kind)


class Kinds(Registry[K]):
    """A registry of sources or of backends."""

    def config_of(self, name: str) -> type[Any]:
        """The class of the group's keys. Raises ConfigError as ``get``."""
        return self.get(name).config

    def check_installed(self, name: str) -> None:
        """Raises ConfigError where a module that it needs is not here."""
        kind = self.get(name)
        missing = [module for module in kind.modules if find_spec(module) is None]
        if missing and kind.extra is not None:
            raise lacks(f"{self.key}={name}", kind.extra)
        if missing:
            raise ConfigError(f"{self.key}={name} needs {', '.join(missing)}; install that")
