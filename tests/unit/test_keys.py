"""Keys: safe as they are, or made safe so that no two names meet."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.schema.keys import is_safe, safe_key

NAMES = st.text(min_size=1, max_size=12)


@given(NAMES)
def test_every_name_has_a_safe_key_that_tells_its_hash_where_it_differs(name: str) -> None:
    key = safe_key(name)
    assert is_safe(key)
    assert safe_key(key) == key
    if key != name:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        assert key.endswith(f"-{digest[:8]}")
        assert len(key) == len(name) + 9


@given(st.lists(NAMES, unique=True, max_size=20))
def test_names_that_differ_do_not_meet(names: list[str]) -> None:
    assert len({safe_key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sav_000001", "sav_000001"),
        ("a b", "a_b-c8687a08"),
        ("a_b", "a_b"),
        ("Zo\u00eb.1", "Zo__1-"),
        ("../x", "___x-"),
        (" ", "_-"),
    ],
)
def test_other_characters_become_lines(name: str, key: str) -> None:
    assert safe_key(name).startswith(key)
