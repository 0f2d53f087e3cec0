"""Writes what the quality is computed with: weights and network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from mav_pipeline.quality.expected import FILE, Network
from mav_pipeline.quality.traits import NAMES

REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS = REPOSITORY / "mav_pipeline" / "quality" / "weights.json"
NETWORK = WEIGHTS.with_name(FILE)


def write_weights(weights: Mapping[str, float]) -> None:
    """Where ``quality.rule`` reads them, the next time it is imported."""
    WEIGHTS.write_text(json.dumps(dict(weights), indent=2) + "\n", encoding="utf-8")


def write_network(network: Network) -> None:
    """Where ``quality.expected`` reads it; a row of a matrix on a line."""
    text = json.dumps(network.document(), indent=1)
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    NETWORK.write_text(text + "\n", encoding="utf-8")


def has_network() -> bool:
    """Whether the one that is there knows today's traits."""
    names = json.loads(NETWORK.read_text("utf-8"))["traits"] if NETWORK.exists() else ()
    return tuple(names) == NAMES
