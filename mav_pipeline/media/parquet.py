"""Parquet as bytes: the same table gives the same bytes, and reading leaves no thread behind."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq


def encode_table(table: pa.Table) -> bytes:
    """A parquet file of ``table``."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def decode_table(data: bytes) -> pa.Table:
    """The table of a parquet file.

    Without the dataset layer and read-ahead that ``pq.read_table`` brings: their threads may free
    the Python buffer they read from after the interpreter is gone, which aborts the process at its
    end (seen with pyarrow 26, about one run in thirty).

    Raises:
        pa.ArrowInvalid: it is no parquet file.
    """
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
