"""Writes ``docs/configuration.md`` from ``conf/`` and the tables of ``docs/format.md``: make docs.

Comments of ``conf/`` become prose: one on a key's line, or under it, is the key's meaning; one at
the left of a section's keys stands before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mav_pipeline.cli import conf_folder
from mav_pipeline.dataset.columns import MEANINGS
from mav_pipeline.dataset.manifest import SCHEMA

DOCS = Path(__file__).resolve().parent.parent / "docs"
GROUPS = ("source", "matting", "runtime")
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s][^#]*?))?(?: +# (?P<text>.*))?")
_COMMENT = re.compile(r"(?P<indent> *)# ?(?P<text>.*)")
_INTRO = """# Configuration

Written by `make docs` from the comments in [`conf/`](../conf/config.yaml).

Every command takes `key=value`. `source`, `matting` and `runtime` are swapped whole, as in
`mav build source=sav_eval matting=binary`; their other keys follow the choice. `mav plan` shows
what a configuration comes to. Keys of `source`, `matting`, `quality` and `output` reach the bytes
of a set (places and the loss budget do not): a build does not go on with one of them changed.
"""


@dataclass(slots=True)
class Key:
    """A key, or (without a name) a comment that stands among them."""

    name: str
    value: str
    text: str


def parse(text: str) -> dict[str, list[Key]]:
    """The keys of each section of a file, in order; those at its top under the empty name."""
    sections: dict[str, list[Key]] = {"": []}
    section, last, note = "", None, list[str]()
    for line in text.splitlines():
        if (comment := _COMMENT.fullmatch(line)) is not None:
            column = len(comment["indent"])
            if last is not None and column > 4:
                last.text += " " + comment["text"].strip()
            else:
                note.append(comment["text"])
                last = None
            continue
        found = _KEY.fullmatch(line)
        if found is None:  # a blank line, or an item of a list
            note, last = [], None
            continue
        if not found["indent"]:
            section = ""
            if found["value"] is None:
                if note:  # what a file says of itself, before its list of defaults
                    sections[""].append(Key("", "", "\n".join(note)))
                section = found["key"]
                sections[section], note, last = [], [], None
                continue
        if note:
            sections[section].append(Key("", "", "\n".join(note)))
        last, note = Key(found["key"], found["value"], found["text"] or ""), []
        sections[section].append(last)
    return sections


def configuration() -> str:
    """``docs/configuration.md``."""
    conf, parts = conf_folder(), [_INTRO]
    main = parse((conf / "config.yaml").read_text())
    for group in GROUPS:
        parts.append(f"## {group}\n")
        files = {path: path.read_text() for path in sorted((conf / group).glob("*.yaml"))}
        shared = {
            path: re.findall(r"^  - (\w+)$", text, re.MULTILINE) for path, text in files.items()
        }
        for path in sorted(files, key=lambda path: (len(shared[path]), shared[path], path)):
            if path.stem == "base":
                parts.append(f"### every `{group}=`\n")
            else:
                parts.append(f"### `{group}={path.stem}`\n")
            parts += [
                f"Has the keys of `{group}={other}`; what differs:\n"
                for other in shared[path]
                if other != "base"
            ]
            keys = parse(files[path])[""]
            parts.append(_keys(group, [key for key in keys if key.name != "name"]))
    for section, keys in main.items():
        if section not in ("", "defaults", "hydra"):
            parts.append(f"## {section}\n\n{_keys(section, keys)}")
    parts.append(f"## name\n\n{_keys('', [key for key in main[''] if key.name])}")
    parts.append("## experiment\n\nRecipes, each with its command:\n")
    for path in sorted((conf / "experiment").glob("*.yaml")):
        lines = path.read_text().splitlines()
        notes = [line[2:] for line in lines if line.startswith("# ") and "@package" not in line]
        parts.append(f"### `experiment={path.stem}`\n\n{_note(notes)}")
    return "\n".join(parts)


def _keys(section: str, keys: list[Key]) -> str:
    lines, table = list[str](), False
    for key in keys:
        if not key.name:
            lines += ([""] if table else []) + [_note(key.text.splitlines())]
            table = False
            continue
        if not table:
            lines += ["| key | default | meaning |", "|---|---|---|"]
            table = True
        name = f"{section}.{key.name}" if section else key.name
        lines.append(f"| `{name}` | `{key.value}` | {_cell(key.text)} |")
    return "\n".join([*lines, ""])


def _note(lines: list[str]) -> str:
    """Comments as a paragraph; what is indented stays as it is."""
    out = list[str]()
    for line in lines:
        if line.startswith("  "):
            out += [""] if out and not out[-1].startswith("    ") else []
            out.append(f"    {line.strip()}")
        else:
            out += [""] if out and out[-1].startswith("    ") else []
            out.append(line)
    return "\n".join([*out, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def columns() -> Iterator[str]:
    """The lines of ``docs/format.md`` that say what a row's columns are."""
    for column in SCHEMA:
        kind = "list of string" if pa.types.is_list(column.type) else str(column.type)
        yield f"| `{column.name}` | {kind} | {_cell(MEANINGS[column.name])} |"


def formats() -> str:
    """``docs/format.md`` with its table of columns made anew."""
    text = (DOCS / "format.md").read_text()
    head = "| column | type | meaning |\n|---|---|---|\n"
    table = head + "".join(f"{line}\n" for line in columns())
    return re.sub(rf"{re.escape(head)}(\|.*\n)*", lambda _: table, text)


def pages() -> dict[Path, str]:
    """Every page that is made, wholly or in part, from the code."""
    return {DOCS / "configuration.md": configuration(), DOCS / "format.md": formats()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
