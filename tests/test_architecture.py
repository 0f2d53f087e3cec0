"""Rules of the architecture that prose could not keep: read off the syntax of every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "mav_pipeline"

#: From the ground up; a module or package imports from its own layer or from one below.
LAYERS = (
    ("", "schema"),
    ("config", "media", "storage"),
    ("quality",),
    ("sources", "matting", "dataset"),
    ("planning",),
    ("build", "report", "evaluate", "export", "train", "synthetic"),
    ("runtime",),
    ("cli",),
    ("__main__",),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
STRANGERS = ("sources", "matting", "dataset")  # one layer, and never each other

#: Which modules may import a library at all.
ONLY_IN = {
    "ray": ("runtime",),
    "webdataset": ("train",),
    "boto3": ("storage",),
    "botocore": ("storage",),
    "stamina": ("storage",),
    "hydra": ("config",),
    "omegaconf": ("config",),
    "pydantic": ("config", "sources", "matting"),
    "torch": ("matting", "train"),
    "diffusers": ("matting",),
    "transformers": ("matting",),
    "safetensors": ("matting", "train"),
    "huggingface_hub": ("dataset", "matting"),
    "pymatting": ("matting", "media"),
    "numba": ("media",),
}
#: Heavy: imported where they are used, not where a module that may use them is.
LAZY = (
    *("torch", "diffusers", "transformers", "pymatting", "numba", "webdataset"),
    *("huggingface_hub", "safetensors"),
    *("boto3", "botocore", "stamina"),
)
#: What a trainer imports: a DataLoader tells how to read a dataset by its class, which must derive
#: from torch's, so torch is there as the class is made, and webdataset is asked for with it. No
#: module imports it but those of ``train``, and these as they run.
FOR_TRAINERS = "mav_pipeline.train.loader"
EAGER = {
    f"{FOR_TRAINERS}.matte_dataset": ("torch", "webdataset"),
    "mav_pipeline.matting.videomama.exact": ("torch", "diffusers"),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, and whether the import runs when the importing module is."""

    name: str
    line: int
    eager: bool


@dataclass(frozen=True, slots=True)
class Module:
    """A source file; ``unit`` is its name right below the package: ``plan``, ``dataset``."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def unit(self) -> str:
        return ([*self.name.split("."), ""])[1]

    def imports(self) -> Iterator[Import]:
        yield from _imports(self.tree, True)


def _imports(node: ast.AST, eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            assert child.module is not None
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", child.lineno, eager)
        elif not _only_for_types(child):
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, eager and not later)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _modules() -> list[Module]:
    found = []
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, name.removesuffix(".__init__"), ast.parse(text)))
    return found


MODULES = _modules()
NAMES = {module.name for module in MODULES}
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def _own(name: str) -> str | None:
    """The module of this package that an import reaches, or None."""
    while name and name not in NAMES:
        name = name.rpartition(".")[0]
    return name or None


@each_module
def test_every_module_has_its_layer(module: Module) -> None:
    assert module.unit in LAYER, f"{module.name} stands in no layer: add it to LAYERS, with care"


@each_module
def test_imports_point_down(module: Module) -> None:
    for found in module.imports():
        target = _own(found.name)
        if target is None or (not module.unit and not found.eager):  # the public face is lazy
            continue
        unit = ([*target.split("."), ""])[1]
        where = f"{module.name}:{found.line} imports {target}"
        assert LAYER[unit] <= LAYER[module.unit], where
        if module.unit in STRANGERS and unit in STRANGERS:
            assert unit == module.unit, where


def test_no_two_modules_need_each_other() -> None:
    graph = {
        module.name: {target for found in module.imports() if (target := _own(found.name))}
        for module in MODULES
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done:
            return
        for target in graph[name] - {name, *_packages(name)}:
            visit(target, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def _packages(name: str) -> set[str]:
    """The packages around a module: importing their siblings passes through them."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


@each_module
def test_a_library_is_imported_where_it_belongs(module: Module) -> None:
    for found in module.imports():
        library = found.name.partition(".")[0]
        allowed = ONLY_IN.get(library, (module.unit,))
        assert module.unit in allowed, f"{module.name}:{found.line} imports {library}"


@each_module
def test_heavy_libraries_are_imported_inside_functions(module: Module) -> None:
    for found in module.imports():
        library = found.name.partition(".")[0]
        if library in LAZY and library not in EAGER.get(module.name, ()):
            assert not found.eager, f"{module.name}:{found.line} imports {found.name} at once"


@each_module
def test_the_pipeline_does_without_the_loader(module: Module) -> None:
    if not module.name.startswith(FOR_TRAINERS):
        for found in module.imports():
            may = module.unit == "train" and not found.eager
            assert may or not found.name.startswith(FOR_TRAINERS), f"{module.name}:{found.line}"


def test_ray_is_an_extra_that_a_local_build_does_without() -> None:
    eager = {
        module.name
        for module in MODULES
        for found in module.imports()
        if found.eager and found.name.partition(".")[0] == "ray"
    }
    needing = {
        module.name
        for module in MODULES
        for found in module.imports()
        if found.eager and _own(found.name) in eager
    }
    assert needing <= eager, "these modules would need ray just to be imported"


@each_module
def test_no_module_is_longer_than_300_lines(module: Module) -> None:
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= 300


@each_module
def test_nothing_prints(module: Module) -> None:
    for node in ast.walk(module.tree):
        called = node.func if isinstance(node, ast.Call) else None
        assert not (isinstance(called, ast.Name) and called.id == "print"), node


@each_module
def test_every_module_says_what_it_is_for(module: Module) -> None:
    assert ast.get_docstring(module.tree), module.name


def test_jobs_are_thin() -> None:
    for path in (REPOSITORY / "jobs").glob("*.py"):
        assert len(path.read_text().splitlines()) < 40, path


def test_every_error_is_in_the_tree_and_the_tree_lists_them_all() -> None:
    tree = next(module for module in MODULES if module.name == f"{PACKAGE}.schema.errors")
    listed = set(re.findall(r"^ *(\w+(?:Error|Interrupted))\b", ast.get_docstring(tree.tree), re.M))
    defined = {node.name for node in ast.walk(tree.tree) if isinstance(node, ast.ClassDef)}
    assert listed | {"Interrupted"} == defined
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and module is not tree:
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                assert not any(re.search(r"(Error|Exception)$", base) for base in bases), node.name


@each_module
def test_no_function_is_longer_than_40_lines_of_code(module: Module) -> None:
    lines = module.path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            code = lines[body[0].lineno - 1 : node.end_lineno] if body else []
            assert len([line for line in code if line.strip()]) <= 40, node.name


@each_module
def test_no_private_name_of_another_module_is_imported(module: Module) -> None:
    for found in module.imports():
        name = found.name.rpartition(".")[2]
        assert not name.startswith("_") or name.startswith("__"), f"{module.name}:{found.line}"


def test_the_package_shows_its_folders_and_the_console_alone() -> None:
    shown = {path.name for path in (REPOSITORY / PACKAGE).glob("*.py")}
    assert shown == {"__init__.py", "__main__.py", "cli.py"}


@each_module
def test_only_the_package_of_ray_workers_imports_ray(module: Module) -> None:
    for found in module.imports():
        if found.name.partition(".")[0] == "ray":
            assert module.name.startswith(f"{PACKAGE}.runtime.ray"), f"{module.name}:{found.line}"
