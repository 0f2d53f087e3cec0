"""Compares what two checkouts build of the same inputs, member by member.

    python -m scripts.same_bytes OTHER_CHECKOUT [source.root=... key=value ...]

Both build in processes of their own. Tars must hold the same members, and each member the same
bytes; the json of a sample may differ in ``format`` and ``provenance.fingerprint`` alone, and rows
must be equal. Exit code 1 where something else differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent.parent


def main(other: str, *words: str) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        sets = [Path(folder) / "ours", Path(folder) / "theirs"]
        for checkout, root in zip((HERE, Path(other)), sets, strict=True):
            command = [sys.executable, "-m", "mav_pipeline", "build", *words]
            env = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
            subprocess.run(
                [*command, f"output.root={root}"], check=True, env=env, stderr=subprocess.DEVNULL
            )
        ours, theirs = map(content, sets)
    differ = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    for key in differ:
        sys.stdout.write(f"differs: {key}\n")
    sys.stdout.write(f"{len(ours) - len(differ)} of {len(ours)} members and rows are the same\n")
    return 1 if differ or not ours else 0


def content(root: Path) -> dict[str, Any]:
    """Every member of every tar, and every row, by name."""
    found: dict[str, Any] = {}
    for path in sorted((root / "shards").iterdir()):
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for info in tar:
                    file = tar.extractfile(info)
                    assert file is not None
                    found[info.name] = _comparable(info.name, file.read())
        elif path.suffix == ".parquet":
            for row in pq.ParquetFile(path).read().to_pylist():
                found[f"row of {row['key']} {row['masklet']}"] = row
    return found


def _comparable(name: str, data: bytes) -> Any:
    if not name.endswith(".json"):
        return data
    document = json.loads(data)
    assert json.dumps(document, sort_keys=True, separators=(",", ":")).encode() == data
    document.pop("format", None)
    del document["provenance"]["fingerprint"]
    return document


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
