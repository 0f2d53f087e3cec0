"""Which code and which libraries made a set: versions, and a hash of the package's files."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mav_pipeline


@functools.cache
def code_version() -> str:
    """``0.2.0+3f9c2a71``: the version, and eight hex digits over every file of the package.

    Two checkouts of one version that differ in a line differ here.
    """
    root, digest = Path(mav_pipeline.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        # conf/ lies in an installed package and beside a checkout; run.json has what it says.
        if path.is_file() and path.suffix != ".pyc" and name.parts[0] != "conf":
            digest.update(f"{name.as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{mav_pipeline.__version__}+{digest.hexdigest()[:8]}"


#: Whose versions every set records: what decodes, computes, and writes.
_PACKAGES = ("av", "numpy", "opencv-python-headless", "pyarrow", "pycocotools", "pymatting", "ray")


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Of this package, Python, and those libraries that are installed here.

    Args:
        packages: beside those of every set.
    """
    found = {"mav_pipeline": mav_pipeline.__version__, "python": platform.python_version()}
    for package in (*_PACKAGES, *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
