"""Gates applied to a built set after the fact: what each row became under other thresholds.

The shards stay as they were built; whoever reads them names the gate whose statuses shall count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mav_pipeline.dataset import layout
from mav_pipeline.media.parquet import decode_table, encode_table
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("masklet", pa.string()),
        ("shard", pa.string()),
        ("status", pa.string()),
        ("reasons", pa.list_(pa.string())),
    ]
)
_CHANGED = ("status", "reasons")


@dataclass(frozen=True, slots=True)
class Gate:
    """Named thresholds and what they make of each row.

    Attributes:
        quality: the ``quality`` group of the configuration that judged.
        table: ``SCHEMA``, a row for each of ``manifest.parquet``, in its order.
    """

    name: str
    quality: Mapping[str, Any]
    table: pa.Table

    def apply(self, rows: pa.Table) -> pa.Table:
        """The manifest's rows with the statuses and reasons of this gate."""
        for column in _CHANGED:
            place = rows.schema.get_field_index(column)
            rows = rows.set_column(place, rows.schema.field(column), self.table[column])
        return rows


def is_name(name: str) -> bool:
    """Whether a gate may be called so: the name becomes a file's."""
    return layout.name_of_gate(layout.gate(name)) == name


def write_gate(storage: Storage, gate: Gate) -> str:
    """Writes ``gates/<name>.parquet``, over one of the same name; returns its path."""
    about = {
        "name": gate.name,
        "quality": json.dumps(dict(gate.quality), sort_keys=True),
        "index_sha256": index_sha256(storage),
    }
    path = layout.gate(gate.name)
    storage.put(path, encode_table(gate.table.replace_schema_metadata(about)))
    return path


def read_gate(storage: Storage, name: str) -> Gate:
    """A gate of a finished set.

    Raises:
        OutputError: there is none of that name (it says which there are), its file is none of a
            gate, or shards were built anew since it was written.
    """
    path, again = layout.gate(name), f"`mav regate regate.name={name} ...` writes it"
    if not is_name(name):
        raise OutputError(f"{name!r} is no name of a gate: up to 64 letters, digits, _ and -")
    try:
        table = decode_table(storage.read(path))
    except FileNotFoundError as error:
        there = ", ".join(gates(storage)) or "none"
        raise OutputError(f"{storage} has no {path} (there is: {there}); {again}") from error
    except pa.ArrowInvalid as error:
        raise OutputError(f"{path} in {storage} cannot be read: {error}; {again}") from error
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if table.schema.names != SCHEMA.names or "index_sha256" not in about:
        raise OutputError(f"{path} in {storage} is not the file of a gate; {again}")
    if about["index_sha256"] != index_sha256(storage):
        raise OutputError(
            f"{path} in {storage} is older than the shards, which were built anew; {again}"
        )
    return Gate(name, json.loads(about["quality"]), table)


def gates(storage: Storage) -> list[str]:
    """The names of the gates that a set has, in order."""
    try:
        found = [layout.name_of_gate(entry.name) for entry in storage.entries(layout.GATES)]
    except FileNotFoundError:
        return []
    return [name for name in found if name is not None]


def index_sha256(storage: Storage) -> str:
    """Stands for the set's shards: the index names each by its content."""
    return hashlib.sha256(storage.read(layout.INDEX)).hexdigest()
