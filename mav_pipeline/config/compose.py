"""``conf/`` and overrides to plain dicts, by Hydra; a slip is answered with the nearest key.

Other packages bring YAML of their own for the sources and backends that they add: a folder with
``source/<name>.yaml`` or ``matting/<name>.yaml``, which may build on the ``base`` of that group.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mav_pipeline.config.parse import flatten
from mav_pipeline.schema.errors import ConfigError, SetupError
from mav_pipeline.schema.kinds import Kinds
from mav_pipeline.schema.registry import nearest

_log = logging.getLogger(__name__)

#: The last part of keys that name a place: whatever characters it has are its name's.
_PLACES = ("root", "base_model", "unet", "endpoint_url", "address")
#: Keys that have another name now; the old one is still understood.
FORMER_KEYS = {
    "gt.root": "evaluate.root",
    "gt.layout": "evaluate.layout",
    "name": "regate.name",
}


def conf_folder() -> Path:
    """``conf/`` in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise SetupError(f"conf/ is neither in {package} nor beside it; install the package anew")


def composed(overrides: Sequence[str], kinds: Sequence[Kinds[Any]]) -> dict[str, Any]:
    """The configuration that ``conf/`` and the overrides come to, as plain dicts.

    Args:
        kinds: the registries whose choices are groups, ``source`` and ``matting``.

    Raises:
        ConfigError: an unknown key or group choice (naming the nearest), or a bad word.
    """
    folder = conf_folder()
    groups = {path.name for path in folder.iterdir() if path.is_dir()}
    words = [_quoted(_renamed(word)) for word in overrides]
    split = [(word, *word.lstrip("+~").partition("=")) for word in words]
    for word, _, equals, _ in split:
        if not equals:
            raise ConfigError(f"{word!r} is not of the form key=value")
    chosen = {key: value for _, key, _, value in split if key in groups}
    search = _search_path(chosen, {kind.key: kind for kind in kinds}, folder)
    with initialize_config_dir(config_dir=str(folder), version_base="1.3"):
        picked = [word for word, key, _, _ in split if key in groups]
        known = list(flatten(_composed([*search, *picked])))
        for _, key, _, _ in split:
            if key not in groups and key not in known:
                raise ConfigError(f"unknown key {key}{nearest(key, [*known, *groups])}")
        return _composed([*search, *words])


def _search_path(
    chosen: Mapping[str, str], kinds: Mapping[str, Kinds[Any]], folder: Path
) -> list[str]:
    """Where Hydra finds the YAML of what other packages add, as an override; none for our own.

    Raises:
        ConfigError: there is no such choice in a group.
    """
    places = []
    for group, choice in chosen.items():
        if group in kinds:
            place = kinds[group].get(choice).conf
            places += [] if place is None else [f"pkg://{place}"]
            continue
        known = [path.stem for path in (folder / group).glob("*.yaml") if path.stem != "base"]
        if choice not in known:
            choices = f"(there is {', '.join(sorted(known))})"
            raise ConfigError(f"there is no {group}={choice} {choices}{nearest(choice, known)}")
    return [f"hydra.searchpath=[{','.join(places)}]"] if places else []


def _composed(words: Sequence[str]) -> dict[str, Any]:
    try:
        found = compose("config", overrides=list(words))
        return OmegaConf.to_container(found, resolve=True)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(f"the overrides {' '.join(words)} cannot be used: {cause}") from error


def _quoted(word: str) -> str:
    """An override as Hydra's grammar takes it: a place may be named with any characters.

    What has quotes, is null or names other keys by ``${...}`` stays as it is.
    """
    key, equals, value = word.partition("=")
    if not equals or value in ("", "null") or "${" in value or value[0] in "'\"[{":
        return word
    if key.rpartition(".")[2] not in _PLACES:
        try:
            OverridesParser.create().parse_override(word)
        except HydraException:
            pass  # as it stands it means nothing to Hydra
        else:
            return word
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def _renamed(word: str) -> str:
    """An override under its present key, with a word where that is another."""
    key, equals, value = word.partition("=")
    if not equals or key not in FORMER_KEYS:
        return word
    _log.warning("%s is called %s now", key, FORMER_KEYS[key])
    return f"{FORMER_KEYS[key]}={value}"
