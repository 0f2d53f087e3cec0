"""Writes what the docs say of configuration, tables and layers: ``make docs``.

``docs/configuration.md`` is made of the comments of ``conf/``: one on a key's line, or under it, is
the key's meaning; one at the left of a section's keys stands before them. Tables of other pages are
made of the tables of the code, between ``<!-- NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mav_pipeline.config.compose import conf_folder
from mav_pipeline.dataset.columns import COLUMNS, Column
from mav_pipeline.evaluate.metrics import METRICS
from mav_pipeline.evaluate.truth import TRUTH_LAYOUTS
from mav_pipeline.export.layouts import EXPORT_LAYOUTS
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.media import label_rule
from mav_pipeline.schema import SCORES, version
from mav_pipeline.schema.passed_over import PASSED_OVER
from mav_pipeline.schema.reasons import REASONS
from mav_pipeline.schema.statuses import MEANINGS
from mav_pipeline.sources.registry import SOURCES
from tests.test_architecture import LAYERS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GROUPS = ("source", "matting", "runtime", "train")
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s][^#]*?))?(?: +# (?P<text>.*))?")
_COMMENT = re.compile(r"(?P<indent> *)# ?(?P<text>.*)")
_INTRO = """# Configuration

Written by `make docs` from the comments in [`conf/`](../conf/config.yaml).

Every command takes `key=value`. `source`, `matting`, `runtime` and `train` are swapped whole, as in
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
    layouts = _table(("layout", "files"), ((f"`{o.name}`", f"`{o.form}`") for o in TRUTH_LAYOUTS))
    parts.append(f"## Layouts of truth\n\nOf `evaluate.layout`:\n\n{layouts}")
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


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def columns() -> str:
    """What a row's columns are."""
    return _table(
        ("column", "type", "meaning"), ((f"`{c.name}`", _type(c), c.meaning) for c in COLUMNS)
    )


def _type(column: Column) -> str:
    return "list of string" if pa.types.is_list(column.type) else str(column.type)


def scores() -> str:
    """What the scores look at, and their ranges."""

    def bound(value: float | None) -> str:
        return "" if value is None else f"{value:g}"

    heads = ("score", "from", "to", "looks at", "basic")
    return _table(
        heads,
        ((f"`{s.name}`", bound(s.low), bound(s.high), s.needs, "yes" * s.basic) for s in SCORES),
    )


def reasons() -> str:
    """Every reason that a row may have."""
    heads = ("reason", "whose doing", "meaning", "way out")
    return _table(heads, ((f"`{r.slug}`", r.fault, r.meaning, r.way_out) for r in REASONS))


def passed_over() -> str:
    """Why a file under the source root becomes no clip."""
    heads = ("reason", "meaning", "way out")
    return _table(heads, ((f"`{r.slug}`", r.meaning, r.way_out) for r in PASSED_OVER))


def labels() -> str:
    """The rule of mask images, as its module words it."""
    assert label_rule.__doc__ is not None
    _, _, text = label_rule.__doc__.partition("\n\n")
    return text.replace("``", "`")


def statuses() -> str:
    """Every status of a clip or a masklet."""
    return _table(("status", "meaning"), ((f"`{k}`", v) for k, v in MEANINGS.items()))


def exports() -> str:
    """The layouts of exports."""
    heads = ("format", "files", "`export.encoding`", "read by")
    rows = (
        (f"`{o.name}`", o.about, ", ".join(f"`{name}`" for name in o.encodings), o.readers)
        for o in EXPORT_LAYOUTS
    )
    return _table(heads, rows)


def metrics() -> str:
    """Every metric of ``mav evaluate``."""
    heads = ("metric", "column", "is", "better", "equals", "may be held to tables of")
    return _table(
        heads,
        ((m.title, f"`{m.name}`", m.about, m.better, m.equals, m.tables) for m in METRICS.values()),
    )


def changes() -> str:
    """What each format changed."""
    lines = (f"- **{n}**: {'; '.join(what)}." for n, what in version.CHANGES.items())
    return "".join(f"{line}\n" for line in lines)


def sources() -> str:
    """The sources that there are."""
    return _table(("`source=`", "layout"), ((f"`{k.name}`", k.about) for k in SOURCES))


def layouts() -> str:
    """How the files of each source lie."""
    heads = ("`source=`", "files of a clip", "read", "refused")
    rows = ((f"`{k.name}`", o.files, o.reads, o.refuses) for k in SOURCES for o in k.layouts)
    return _table(heads, rows)


def backends() -> str:
    """The backends that there are."""
    return _table(("`matting=`", "makes mattes by"), ((f"`{k.name}`", k.about) for k in BACKENDS))


def layers() -> str:
    """The packages by what they may import, the topmost first."""
    lines = (" ".join(name for name in layer if name) for layer in reversed(LAYERS))
    return "```\n" + "".join(f"{line}\n" for line in lines) + "```\n"


#: By page what is made of it, between ``<!-- NAME -->`` and ``<!-- end -->``.
PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"sources": sources, "backends": backends},
    "docs/format.md": {
        "changes": changes,
        "columns": columns,
        "scores": scores,
        "reasons": reasons,
        "passed_over": passed_over,
        "labels": labels,
        "statuses": statuses,
        "layouts": layouts,
        "exports": exports,
    },
    "docs/quality.md": {"metrics": metrics},
    "docs/architecture.md": {"layers": layers},
}


def filled(page: str) -> str:
    """A page with its made parts made anew."""
    text = (ROOT / page).read_text()
    for name, make in PARTS[page].items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        assert len(re.findall(pattern, text, re.DOTALL)) == 1, f"{page} has no place for {name}"
        part = make()
        text = re.sub(pattern, lambda m, part=part: m[1] + part + m[2], text, flags=re.DOTALL)
    return text


def pages() -> dict[Path, str]:
    """Every page that is made, wholly or in part, from the code."""
    made = {ROOT / page: filled(page) for page in PARTS}
    return {DOCS / "configuration.md": configuration(), **made}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
