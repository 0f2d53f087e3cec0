"""The console: verbs with Hydra overrides, one JSON object on stdout, all else on stderr.

``--json`` prints the result, ``status --watch`` goes on until no shard is pending.

Exit codes: 0 complete; 1 a bug, or a finding of ``verify``; 2 usage, config or preflight;
3 failed or pending shards, over the loss budget, not one sample, nothing that ``evaluate`` could
compare, or an unfinished set (``verify``);
130 interrupted and resumable.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mav_pipeline import __version__
from mav_pipeline import report as report_module
from mav_pipeline.config import BOUNDS, FINGERPRINTED, RunConfig
from mav_pipeline.config.compose import composed, conf_folder
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_run
from mav_pipeline.dataset.regate import regate
from mav_pipeline.dataset.verify import verify
from mav_pipeline.evaluate import Truth, evaluate
from mav_pipeline.evaluate.truth import TRUTH_LAYOUTS
from mav_pipeline.export import Target, export
from mav_pipeline.export.layouts import EXPORT_LAYOUTS
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.planning.estimate import estimate
from mav_pipeline.planning.fingerprint import held_config
from mav_pipeline.runtime.driver import build
from mav_pipeline.runtime.outcome import shortcoming
from mav_pipeline.runtime.status.watch import watch
from mav_pipeline.schema import RunReport
from mav_pipeline.schema.errors import (
    ConfigError,
    Interrupted,
    SetupError,
    TrainingError,
    TransientError,
)
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.schema.registry import Registry, nearest
from mav_pipeline.schema.scores import SCORE
from mav_pipeline.sources.registry import SOURCES
from mav_pipeline.storage import open_output
from mav_pipeline.synthetic import render
from mav_pipeline.train.run import train

_log = logging.getLogger("mav_pipeline")

OK, BUG_OR_FINDING, SETUP, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130

JSON, WATCH = FLAGS = ("--json", "--watch")

Result = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what runs it, and a line for the list of them."""

    name: str
    run: Callable[[RunConfig], Result]
    about: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code. What it prints on stdout is the JSON of ``--json``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    flags = {word for word in words if word in FLAGS}
    words = [word for word in words if word not in FLAGS]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", force=True)
    _log.setLevel(logging.INFO)
    if words == ["--version"]:
        sys.stderr.write(f"mav_pipeline {__version__}\n")
        return OK
    if not words or words[0] == "help" or {"-h", "--help"} & set(words):
        sys.stderr.write(usage() + (f"\n{keys()}" if words else ""))
        return OK if words else SETUP
    verb, overrides = words[0], words[1:]
    try:
        if verb not in VERBS.names():
            hint = nearest(verb, VERBS.names())
            raise ConfigError(f"there is no verb {verb!r}{hint}\n{usage()}")
        if WATCH in flags and verb != "status":
            raise ConfigError(f"{WATCH} is for mav status, not for mav {verb}")
        config = load_config(overrides)
        if verb == "regate":  # its own bounds over those of the set
            config = resumed(config, overrides, ("quality",))
        if verb == "build" and config.source.root is None:
            config = resumed(config, overrides, FINGERPRINTED)
        code, result = _watch(config) if WATCH in flags else VERBS.get(verb).run(config)
    except (TrainingError, TransientError) as error:
        _log.error("%s", error)
        code, result = INCOMPLETE, {"state": "incomplete", "error": str(error)}
    except SetupError as error:
        _log.error("%s", error)
        return SETUP
    except OSError as error:  # of the storage or the disk: a build has its own word for them
        _log.error("%s; what is written is whole: run the same command again", error)
        return SETUP
    except (Interrupted, KeyboardInterrupt) as error:
        _log.error("%s", error or "interrupted")
        return INTERRUPTED
    if JSON in flags:
        sys.stdout.write(json.dumps(result) + "\n")
    return code


def usage() -> str:
    """The list of verbs."""
    lines = [f"  {verb.name:<8} {verb.about}" for verb in VERBS]
    flags = f"[{JSON}] [{WATCH}]"
    return f"usage: mav <verb> {flags} [key=value ...]\n\n" + "\n".join(lines) + "\n"


def keys() -> str:
    """``conf/config.yaml``, which has each key with its default and meaning, less Hydra's own."""
    return (conf_folder() / "config.yaml").read_text().rpartition("\nhydra:")[0]


# configuration


def load_config(overrides: Sequence[str]) -> RunConfig:
    """Composes ``conf/`` with overrides.

    Raises:
        ConfigError: an unknown key or group choice (naming the nearest), or a bad value.
    """
    return _typed(composed(overrides, (SOURCES, BACKENDS)))


def resumed(config: RunConfig, overrides: Sequence[str], groups: Sequence[str]) -> RunConfig:
    """The configuration that began the build in ``output.root``, with the overrides given now.

    So ``mav build output.root=...`` alone goes on with a build. An override that would change a
    byte is kept, for the build to refuse it by name.

    Args:
        groups: that are taken from there.

    Raises:
        ConfigError: nothing was begun there, so ``source.root`` must be given.
    """
    run = read_run(open_output(config))
    if run is None:
        raise ConfigError(
            f"output.root={config.output.root} holds no build to go on with, and "
            "source.root is not set; add source.root=/some/folder to begin one"
        )
    now, data = config.to_mapping(), {**config.to_mapping(), **held_config(run, groups)}
    for key in (word.lstrip("+~").partition("=")[0] for word in overrides):
        group, _, name = key.partition(".")
        if group in groups:
            data[group] = {**data[group], name: now[group][name]} if name else now[group]
            if key == "quality.scores":  # what needs other scores follows them
                keys = (bound.key for bound in BOUNDS if not SCORE[bound.score].basic)
                data[group] |= {key: now[group][key] for key in keys}
    return _typed(data)


def _typed(data: Mapping[str, Any]) -> RunConfig:
    config = RunConfig.from_mapping(data, sources=SOURCES, backends=BACKENDS)
    EXPORT_LAYOUTS.get(config.export.format).chosen(config.export.encoding)
    TRUTH_LAYOUTS.get(config.evaluate.layout)
    return config


# verbs


def _sample(config: RunConfig) -> Result:
    if not config.sample.root:
        raise ConfigError("sample.root is not set; add sample.root=/some/folder")
    root = Path(config.sample.root).expanduser().absolute()
    clips = render(root, config.sample)
    _log.info("%d clips in %s", len(clips), root)
    return OK, {"root": str(root), "clips": clips}


def _plan(config: RunConfig) -> Result:
    result = estimate(config).to_json()
    _show(result)
    return OK, result


def _build(config: RunConfig) -> Result:
    report = build(config)
    _show_report(report)
    if (why := shortcoming(report, config)) is not None:
        _log.error("%s", why)
        return INCOMPLETE, report.to_json()
    return OK, report.to_json()


def _status(config: RunConfig) -> Result:
    built = _open_built(config)
    report = built.report()
    _show_report(report)
    for failure in built.failures().values():
        _log.info("%s: %s: %s: %s", failure.shard, failure.stage, failure.type, failure.message)
    return OK, report.to_json()


def _watch(config: RunConfig) -> Result:
    report = watch(_open_built(config), config.runtime.progress_s)
    _show_report(report)
    return OK, report.to_json()


def _verify(config: RunConfig) -> Result:
    result = verify(open_output(config), config.verify)
    for finding in result.findings:
        _log.error("%s: %s", finding.path, finding.what)
    for path in result.strays:
        _log.warning("%s: stray%s", path, ", removed" if path in result.removed else "")
    decoded = {"decoded": f"{result.samples} samples"} if config.verify.deep else {}
    _show({"shards": dict(result.shards), **decoded})
    if not result.ok:
        return BUG_OR_FINDING, result.to_json()
    if not result.is_finished:
        _log.error("the set is not finished: `mav build` goes on with it, `mav status` shows it")
        return INCOMPLETE, result.to_json()
    return OK, result.to_json()


def _report(config: RunConfig) -> Result:
    built = _open_built(config)
    report_module.write_report(built, config.report)
    page = f"{built.storage}/{layout.REPORT_PAGE}"
    _log.info("%s", page)
    return OK, {"report": page}


def _evaluate(config: RunConfig) -> Result:
    result = evaluate(_open_built(config), Truth.open(config.evaluate, config.storage.endpoint_url))
    for line in result.table():
        _log.info("%s", line)
    if not result.masklets:
        _log.error("nothing could be compared: the lines above say what stood in the way")
        return INCOMPLETE, result.to_json()
    return OK, result.to_json()


def _regate(config: RunConfig) -> Result:
    result = regate(_open_built(config), config.regate.name, config.quality).to_json()
    _show(result)
    return OK, result


def _export(config: RunConfig) -> Result:
    target = Target.open(config.export.root, config.storage.endpoint_url)
    result = export(_open_built(config), config.export, target)
    for name, what in result.problems.items():
        _log.error("%s: %s", name, what)
    _show(result.to_json())
    return BUG_OR_FINDING if result.problems else OK, result.to_json()


def _open_built(config: RunConfig) -> BuiltSet:
    return BuiltSet.open(open_output(config))


def _show_report(report: RunReport) -> None:
    _show(report.to_json())


def _show(result: dict[str, Any]) -> None:
    for key, value in result.items():
        if key == "passed_over":
            value = str(PassedOver.from_json(value)) or "none"
        elif isinstance(value, dict):
            value = ", ".join(f"{number} {name}" for name, number in value.items()) or "none"
        _log.info("%-12s %s", key, value)


VERBS: Registry[Verb] = Registry(
    "verb",
    (
        Verb("sample", _sample, "render a small corpus with known alpha under sample.root"),
        Verb("plan", _plan, "preflight and dry run of a build; writes nothing"),
        Verb("build", _build, "build or resume the set in output.root"),
        Verb("status", _status, "where a build stands; --watch goes on till it ends"),
        Verb("verify", _verify, "read a set back; verify.deep=true, verify.clean=true"),
        Verb("report", _report, "write report/index.html"),
        Verb("regate", _regate, "judge a finished set by other quality.* bounds"),
        Verb("evaluate", _evaluate, "compare a set with the truth: MAD to dtSSD, J and F"),
        Verb("export", _export, "write a finished set in another layout"),
        Verb("train", lambda config: (OK, train(config)), "train a matting model on built sets"),
    ),
)
