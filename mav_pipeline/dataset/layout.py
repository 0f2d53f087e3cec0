"""The names of everything that a build writes, and which files are not of a build."""

from __future__ import annotations

import re

from mav_pipeline.storage import is_temporary

RUN = "run.json"
PLAN = "plan.parquet"
SHARDS = "shards"
FAILURES = "failures"
MANIFEST = "manifest.parquet"
SHARD_LIST = "shards.txt"
INDEX = "index.json"
CARD = "README.md"
CROISSANT = "croissant.json"
REPORT = "report"
REPORT_PAGE = f"{REPORT}/index.html"
EVALUATION = "evaluation"
GATES = "gates"

_DATA = re.compile(r"(mav-\d{6,})-[0-9a-f]{16}\.(tar|parquet)")
_RECEIPT = re.compile(r"(mav-\d{6,})\.json")
_GATE = re.compile(r"([A-Za-z0-9_-]{1,64})\.parquet")
_TEMPORARY = re.compile(r"\.(mav-\d{6,})(-[0-9a-f]{16})?\.(tar|parquet|json)\.[0-9a-f]{32}\.tmp")


def receipt(shard: str) -> str:
    """``shards/mav-000000.json``."""
    return f"{SHARDS}/{shard}.json"


def failure(shard: str) -> str:
    """``failures/mav-000000.json``."""
    return f"{FAILURES}/{shard}.json"


def gate(name: str) -> str:
    """``gates/<name>.parquet``."""
    return f"{GATES}/{name}.parquet"


def name_of_gate(path: str) -> str | None:
    """The gate that lies at ``path``, or None."""
    folder, _, name = path.rpartition("/")
    match = _GATE.fullmatch(name) if folder == GATES else None
    return match.group(1) if match else None


def data(name: str) -> str:
    """The path of a data file by the name that its receipt gives."""
    return f"{SHARDS}/{name}"


def data_name(shard: str, sha256: str, suffix: str) -> str:
    """``mav-000000-<first 16 hex digits>.tar``."""
    return f"{shard}-{sha256[:16]}.{suffix}"


def shard_of_receipt(path: str) -> str | None:
    """The shard whose receipt lies at ``path``, or None."""
    folder, _, name = path.rpartition("/")
    match = _RECEIPT.fullmatch(name) if folder == SHARDS else None
    return match.group(1) if match else None


def shard_of_data(path: str) -> str | None:
    """The shard that a data file or a temporary one in ``shards/`` belongs to, by its name."""
    folder, _, name = path.rpartition("/")
    match = (_DATA.fullmatch(name) or _TEMPORARY.fullmatch(name)) if folder == SHARDS else None
    return match.group(1) if match else None


def is_of_set(path: str) -> bool:
    """Whether a file at this path is one that a build writes, or its temporary."""
    top = path.split("/", 1)[0]
    return (
        path in (RUN, PLAN, MANIFEST, SHARD_LIST, INDEX, CARD, CROISSANT)
        or top in (REPORT, EVALUATION, FAILURES)
        or name_of_gate(path) is not None
        or shard_of_receipt(path) is not None
        or shard_of_data(path) is not None
        or is_temporary(path)
    )
