"""Keys of samples: ids that may become part of a file's name, made of any name. Pure."""

from __future__ import annotations

import hashlib
import re

#: A key of a WebDataset sample, and never a path.
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_DIGITS = 8  # of the hash: names that meet by chance are one in four thousand million


def is_safe(name: str) -> bool:
    """Whether a name may become part of a file's name as it is."""
    return _SAFE.fullmatch(name) is not None


def safe_key(name: str) -> str:
    """The name itself where it is safe; else one made of it, that no other name has.

    Other characters become ``_``, and ``-`` and 8 hex digits of the name's sha256 follow: ``a b``
    is ``a_b-c8687a08``, and does not meet ``a_b``.
    """
    if is_safe(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{_OTHER.sub('_', name)}-{digest}"
