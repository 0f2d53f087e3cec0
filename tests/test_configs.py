"""Everything in ``conf/`` composes, is typed, and a slip of the pen is answered with a hint."""

from __future__ import annotations

import typing
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mav_pipeline.cli import load_config
from mav_pipeline.config import RunConfig
from mav_pipeline.config.compose import conf_folder
from mav_pipeline.config.parse import names
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.sources.registry import SOURCES

CONF = conf_folder()
TYPES = typing.get_type_hints(RunConfig)
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name in TYPES)
OPTIONS = [
    (group, path.stem)
    for group in GROUPS
    for path in sorted((CONF / group).glob("*.yaml"))
    if path.stem != "base"
]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def written(section: str, option: str | None = None) -> set[str]:
    """The keys that ``conf/`` gives to a section, or to one choice of a group."""
    if option is None:
        return set(read(CONF / "config.yaml")[section])
    files = [read(CONF / section / f"{name}.yaml") for name in ("base", option)]
    return {key for content in files for key in content} - {"defaults"}


def test_the_defaults_compose() -> None:
    run = load_config([])
    assert (run.source.name, run.matting.name, run.runtime.name) == (
        "sav_train",
        "closed_form",
        "local",
    )


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_under_its_own_name(group: str, option: str) -> None:
    run = load_config([f"{group}={option}"])
    assert getattr(run, group).name == option


@pytest.mark.parametrize("source", [option for group, option in OPTIONS if group == "source"])
@pytest.mark.parametrize("matting", [option for group, option in OPTIONS if group == "matting"])
def test_sources_and_backends_go_together(source: str, matting: str) -> None:
    run = load_config([f"source={source}", f"matting={matting}"])
    assert (run.source.name, run.matting.name) == (source, matting)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_says_its_command(experiment: str) -> None:
    path = CONF / "experiment" / f"{experiment}.yaml"
    changed = load_config([f"experiment={experiment}"])
    assert changed != load_config([])
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any(f"mav build experiment={experiment}" in line for line in header)
    for section, keys in read(path).items():
        if section != "defaults":
            found = getattr(changed, section)
            assert {key: getattr(found, key) for key in keys} == keys


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_override_beats_an_experiment(experiment: str) -> None:
    changed = load_config([f"experiment={experiment}", "output.clips_per_shard=77"])
    assert changed.output.clips_per_shard == 77


def test_every_group_on_disk_is_known() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "experiment", "ablation"}


@pytest.mark.parametrize(
    "section", sorted(key for key in TYPES if is_dataclass(TYPES[key]) and key not in GROUPS)
)
def test_every_key_has_a_field_and_every_field_a_key(section: str) -> None:
    assert written(section) == set(names(TYPES[section]))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_key_of_a_choice_has_a_field_and_every_field_a_key(group: str, option: str) -> None:
    kinds: dict[str, Any] = {"source": SOURCES, "matting": BACKENDS}
    cls = kinds[group].config_of(option) if group in kinds else TYPES[group]
    assert written(group, option) == set(names(cls))


@pytest.mark.parametrize("kinds", [SOURCES, BACKENDS], ids=["source", "matting"])
def test_every_kind_has_its_yaml_and_every_yaml_its_kind(kinds: Any) -> None:
    assert {option for group, option in OPTIONS if group == kinds.key} == set(kinds.names())


def test_every_section_of_the_file_is_one_of_the_configuration() -> None:
    sections = set(read(CONF / "config.yaml")) - {"defaults", "hydra"}
    assert sections | set(GROUPS) == set(TYPES)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source.rot=x", r"unknown key source\.rot; did you mean 'source\.root'\?"),
        ("matting.windw=3", r"unknown key matting\.windw; did you mean 'matting\.window'\?"),
        ("qualty.enabled=true", r"unknown key qualty\.enabled; did you mean 'quality\.enabled'\?"),
        ("+matting.bnd=3", r"unknown key matting\.bnd; did you mean 'matting\.band'\?"),
        ("matting=closedform", r"there is no matting=closedform .*did you mean 'closed_form'\?"),
        ("source=sav_trian", r"there is no source=sav_trian .*did you mean 'sav_train'\?"),
        ("runtime=rai", r"there is no runtime=rai \(there is local, ray\); did you mean 'ray'\?"),
        ("mating=binary", r"unknown key mating; did you mean 'matting'\?"),
        ("experiment=mav_preveiw", r"did you mean 'mav_preview'\?"),
        ("matting=base", r"there is no matting=base \(there is binary"),
        ("source.limit", r"'source\.limit' is not of the form key=value"),
        ("matting.seed=[1", r"matting\.seed=\[1 cannot be used"),
        ("matting.seed=many", r"matting\.seed must be a whole number, not 'many'"),
        ("output.rgb=none,", r"cannot be used|output\.rgb must be"),
    ],
)
def test_a_slip_is_named_with_the_nearest(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config([override])


def test_overrides_take_the_types_of_their_keys() -> None:
    words = ["source.include=[sav_1,'sav_2*']", "source.limit=5", "quality.max_flicker=0.1"]
    run = load_config(
        [*words, "quality.max_core_loss=null", "runtime=ray", "runtime.num_workers=4"]
    )
    assert run.source.include == ("sav_1", "sav_2*")
    assert (run.source.limit, run.quality.max_flicker, run.quality.max_core_loss) == (5, 0.1, None)
    assert run.runtime.num_workers == 4


def test_a_key_of_another_group_option_may_be_given() -> None:
    assert load_config(["matting=closed_form", "matting.band_max=9"]).matting.band_max == 9
    with pytest.raises(ConfigError, match=r"unknown key matting\.band_max"):
        load_config(["matting=binary", "matting.band_max=9"])


def test_former_keys_are_understood_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        run = load_config(["gt.root=truth", "gt.layout=vhim60", "name=strict"])
    assert (run.evaluate.root, run.evaluate.layout) == ("truth", "vhim60")
    assert run.regate.name == "strict"
    for old, new in (("gt.root", "evaluate.root"), ("name", "regate.name")):
        assert f"{old} is called {new} now" in caplog.text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("export.format=previw", r"there is no export.format=previw .*did you mean 'preview'"),
        ("evaluate.layout=vhim6", r"there is no evaluate.layout=vhim6 .*did you mean 'vhim60'"),
    ],
)
def test_a_layout_that_there_is_not_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config([override])
