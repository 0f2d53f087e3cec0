"""The docs are current where they are made, complete where they tell, and their links lead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mav_pipeline.cli import VERBS
from mav_pipeline.config.parse import flatten
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import SCHEMA
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.train.loader import MatteSample
from scripts.reference import DOCS, GROUPS, conf_folder, pages, parse
from tests.fakes import config

ROOT = DOCS.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.glob("*.md")),
]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_what_is_made_is_current(path: Path) -> None:
    assert path.read_text() == pages()[path], "run `make docs`"


def test_every_key_is_told_with_a_meaning() -> None:
    text = (DOCS / "configuration.md").read_text()
    for key in flatten(config().to_mapping()):
        if not key.endswith(".name"):
            assert f"| `{key}` |" in text, key
    groups = (path for name in GROUPS for path in (conf_folder() / name).glob("*.yaml"))
    for path in (conf_folder() / "config.yaml", *groups):
        for section, keys in parse(path.read_text()).items():
            if section != "hydra":
                for key in keys:
                    assert key.text or key.name == "name", f"{path.name}: {key.name} has no comment"


def test_every_column_is_told() -> None:
    text = (DOCS / "format.md").read_text()
    for column in SCHEMA:
        assert f"| `{column.name}` |" in text, column.name


def test_every_file_and_folder_of_a_set_is_told() -> None:
    text = (DOCS / "format.md").read_text()
    names = {
        value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)
    }
    assert layout.CROISSANT in names
    for name in names:
        assert re.search(rf"^\| `{re.escape(name)}[`/]", text, re.MULTILINE), name


def test_every_key_of_a_batch_is_told() -> None:
    section = (DOCS / "format.md").read_text().partition("## A batch")[2].partition("\n## ")[0]
    for key in MatteSample.__annotations__:
        assert f"`{key}`" in section, key


def test_every_key_of_a_receipt_is_told() -> None:
    section = (DOCS / "format.md").read_text().partition("## A receipt")[2].partition("## ")[0]
    for field in ShardReceipt.__dataclass_fields__:
        assert f"`{field}`" in section, field


def test_every_verb_is_told_somewhere() -> None:
    text = "".join(path.read_text() for path in PAGES)
    for verb in VERBS.names():
        assert f"mav {verb}" in text, verb


def test_every_metric_is_told_and_drawn() -> None:
    code = (ROOT / "mav_pipeline" / "runtime" / "ray" / "telemetry.py").read_text()
    metrics = re.findall(r'"(mav_\w+)"', code)
    assert len(metrics) > 10
    for metric in metrics:
        assert f"`{metric}`" in (DOCS / "cluster.md").read_text(), metric
        assert f"ray_{metric}" in (ROOT / "jobs" / "grafana.json").read_text(), metric


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_to() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in _LINK.findall(page.read_text())
    }
    for page in PAGES[1:]:
        assert page.resolve() in linked, page.name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
