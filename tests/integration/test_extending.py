"""``docs/extending.md``, followed to the letter on a copy of the checkout."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.fakes import moving_box, write_clip

from .console import REPOSITORY, fresh

PAGE = (REPOSITORY / "docs" / "extending.md").read_text()


class Copy:
    """A copy of the package that a page is followed on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("mav_pipeline", "conf"):  # with what is compiled: each process would again
            shutil.copytree(REPOSITORY / name, root / name)
        write_clip(root / "in", "clip_1", {0: moving_box(3)})
        write_clip(root / "in", "clip_2", {0: moving_box(3)})
        self.touched: set[str] = set()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        assert not path.exists()
        path.write_text(text)
        self.touched.add(name)

    def after(self, name: str, before: str, text: str) -> None:
        """Inserts ``text`` after the first line that holds ``before``."""
        path = self.root / name
        head, found, tail = path.read_text().partition(before)
        assert found, f"{name} has no {before}"
        line, newline, rest = tail.partition("\n")
        path.write_text(head + found + line + newline + text + rest)
        self.touched.add(name)

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert text.count(old) == 1, (name, old)
        path.write_text(text.replace(old, new))
        self.touched.add(name)

    def mav(self, *words: str, code: int = 0) -> str:
        done = fresh(*words, cwd=self.root, env={"PYTHONPATH": str(self.root)})
        assert done.code == code, done.stderr
        return done.stderr

    def build(self, out: str, *words: str) -> None:
        self.mav("build", "source.root=in", f"output.root={out}", *words)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def section(title: str) -> str:
    """The page's text under a heading, up to the next of its rank."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    return [re.sub(r"^\+", "", block, flags=re.MULTILINE) for block in found]


def test_a_backend(copy: Copy) -> None:
    (module,) = blocks("A backend", "python")
    (conf,) = blocks("A backend", "yaml")
    copy.write("mav_pipeline/matting/half.py", module)
    copy.write("conf/matting/half.yaml", conf)
    registry = "mav_pipeline/matting/registry.py"
    copy.replace(registry, "import binary, closed_form", "import binary, closed_form, half")
    copy.replace(registry, "binary.KIND)", "binary.KIND, half.KIND)")
    assert len(copy.touched) == 3
    copy.build("out", "matting=half", "matting.opacity=0.7")
    copy.mav("verify", "output.root=out", "verify.deep=true")
    keys = json.loads((copy.root / "out/run.json").read_text())["keys"]
    assert keys["matting.opacity"] == 0.7
    assert "did you mean 'half'" in copy.mav("build", "matting=hlaf", code=2)


def test_a_source(copy: Copy) -> None:
    """A copy of one that there is, under another name: module, YAML, line."""
    sources = copy.root / "mav_pipeline/sources"
    module = (sources / "sav_train.py").read_text().replace('name="sav_train"', 'name="mine"')
    copy.write("mav_pipeline/sources/mine.py", module)
    yaml = (copy.root / "conf/source/sav_train.yaml").read_text()
    copy.write("conf/source/mine.yaml", yaml.replace("name: sav_train", "name: mine"))
    registry = "mav_pipeline/sources/registry.py"
    copy.replace(registry, "import sav_eval", "import mine, sav_eval")
    copy.replace(registry, "footage.KIND)", "footage.KIND, mine.KIND)")
    assert len(copy.touched) == 3
    copy.build("out", "source=mine", "matting=binary")
    copy.mav("verify", "output.root=out", "verify.deep=true")


def test_a_score(copy: Copy) -> None:
    shards = ("output.clips_per_shard=1", "matting=binary")
    copy.build("begun", *shards)
    receipt = copy.root / "begun/shards/mav-000001.json"
    receipt.unlink()
    entry, sums, value = blocks("A score", "diff")
    table, scorer = "mav_pipeline/schema/scores.py", "mav_pipeline/quality/scorer.py"
    copy.replace(table, '    Score(\n        "quality",', f'{entry}    Score(\n        "quality",')
    copy.after(scorer, "side=float(np.sqrt(area)),", sums)
    copy.after(scorer, '"speckle": _ratio', value)
    assert len(copy.touched) == 2
    copy.build("out", *shards)
    rows = pq.ParquetFile(copy.root / "out/manifest.parquet").read().to_pylist()
    assert [row["solidity"] for row in rows] == [1.0, 1.0]
    for words in (("verify", "verify.deep=true"), ("report",), ("status",)):
        copy.mav(*words, "output.root=out")
    assert "solidity" in (copy.root / "out/report/index.html").read_text()
    # A set from before is read, and not gone on with.
    copy.mav("status", "output.root=begun")
    refused = copy.mav("build", "source.root=in", "output.root=begun", *shards, code=2)
    assert 'columns.solidity: was unset, now "there"' in refused
    old = REPOSITORY / "tests/data/format_1/complete"
    shutil.copytree(old, copy.root / "old")
    copy.mav("verify", "output.root=old", "verify.deep=true")
    copy.mav("regate", "output.root=old", "regate.name=again")


def test_an_export_layout(copy: Copy) -> None:
    (function,) = blocks("An export layout", "python")
    (entry,) = blocks("An export layout", "diff")
    layouts = "mav_pipeline/export/layouts.py"
    head = "EXPORT_LAYOUTS: Registry[ExportLayout] = Registry("
    copy.replace(layouts, head, f"{function}\n\n{head}")
    copy.after(layouts, '"export.format",\n    (', entry)
    assert len(copy.touched) == 1
    copy.build("out", "matting=binary")
    copy.mav("export", "output.root=out", "export.root=ex", "export.format=alphas")
    assert (copy.root / "ex/alphas/clip_1/manual_000/00000.png").is_file()


def test_a_verb(copy: Copy) -> None:
    copy.write(
        "mav_pipeline/dataset/count.py",
        '"""Counts."""\n\n\ndef count(built: object) -> int:\n    return 7\n',
    )
    cli = "mav_pipeline/cli.py"
    run = (
        "def _count(config: RunConfig) -> Result:\n"
        "    from mav_pipeline.dataset.count import count\n\n"
        '    return OK, {"count": count(_open_built(config))}\n\n\n'
    )
    copy.replace(cli, "def _open_built(", f"{run}def _open_built(")
    copy.after(cli, '"verb",\n    (', '        Verb("count", _count, "count"),\n')
    assert len(copy.touched) == 2
    copy.build("out", "matting=binary")
    done = fresh("count", "output.root=out", "--json", cwd=copy.root)
    assert (done.code, done.json) == (0, {"count": 7})
    assert "  count    count" in copy.mav("help")
