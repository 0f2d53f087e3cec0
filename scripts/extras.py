"""The extras that a build needs beside the core: ``python -m scripts.extras key=value ...``.

Prints ``ray,s3,videomama``, or nothing; exits with 2 where the overrides cannot be used.
"""

from __future__ import annotations

import sys

from mav_pipeline.cli import load_config
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema.errors import SetupError
from mav_pipeline.sources.registry import SOURCES


def extras(words: list[str]) -> list[str]:
    """In order, without repeats. Raises ConfigError."""
    config = load_config(words)
    kinds = (SOURCES.get(config.source.name), BACKENDS.get(config.matting.name))
    found = {kind.extra for kind in kinds if kind.extra is not None}
    if config.runtime.name == "ray":
        found.add("ray")
    if any("s3://" in word for word in words):
        found.add("s3")
    return sorted(found)


if __name__ == "__main__":
    try:
        sys.stdout.write(",".join(extras(sys.argv[1:])))
    except SetupError as error:
        sys.exit(f"{error}")
