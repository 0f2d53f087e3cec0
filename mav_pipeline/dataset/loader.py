"""The former place of ``mav_pipeline.train.loader``; what was imported from here still is."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    try:
        return getattr(import_module("mav_pipeline.train.loader"), name)
    except AttributeError as error:
        raise AttributeError(f"mav_pipeline.train.loader has no {name}") from error
