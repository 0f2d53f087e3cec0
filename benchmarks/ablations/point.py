"""One point of an ablation: build a corpus whose truth is known under some settings, and measure.

corpus -> masks degraded -> mav build, in a process of its own -> mav evaluate -> Point
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from mav_pipeline.config import EvaluateConfig, SampleConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.evaluate import Truth, evaluate
from mav_pipeline.evaluate.metrics import METRICS
from mav_pipeline.evaluate.strata import GROUPS
from mav_pipeline.media.masks import decode_rle, encode_rle, parse_rle
from mav_pipeline.schema.errors import ConfigError, MavError
from mav_pipeline.schema.registry import nearest
from mav_pipeline.storage import LocalStorage
from mav_pipeline.synthetic.degrade import DEGRADATIONS
from mav_pipeline.synthetic.render import TRUTH, render

_STRATA = tuple(stratum for stratum in GROUPS if stratum != "status")  # gates are off
_MASKS = ("none", *DEGRADATIONS)
_NO_BUILD = ("ablate", "ablation", "sample")  # groups that no build has a use for


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What came of one combination of settings.

    Attributes:
        settings: the swept keys with their values.
        error: mean over masklets of sum |alpha - truth| / sum truth.
        metrics: means over masklets of MAD to dtSSD.
        quality: mean over masklets.
        frames_per_s: alpha frames a second of the whole build, in one process, its start included.
        matted_per_s: alpha frames a second of the backend's own time.
        memory_mb: most resident memory of that process.
        strata: error by group, with the number of masklets.
    """

    settings: Mapping[str, str]
    masklets: int
    frames: int
    error: float
    metrics: Mapping[str, float | None]
    quality: float | None
    frames_per_s: float
    matted_per_s: float
    memory_mb: float
    strata: Mapping[str, Mapping[str, tuple[float, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """What is swept, where to, and on which clips.

    Attributes:
        root: folder that receives samples and ``<name>.jsonl``, a line a point.
        source, gt: a SA-V train folder and its truth as ``alpha_gt``; null renders a sample.
        masks: ``none``, or the degradation that the manual masks undergo.
    """

    name: str
    root: str
    source: str | None
    gt: str | None
    masks: str

    def __post_init__(self) -> None:
        if self.masks not in _MASKS:
            hint = nearest(self.masks, _MASKS)
            raise ConfigError(f"ablate.masks={self.masks}: there is {', '.join(_MASKS)}{hint}")
        if (self.source is None) != (self.gt is None):
            raise ConfigError("ablate.source and ablate.gt are given together, or neither")


def run(
    ablation: Ablation,
    settings: Mapping[str, str],
    overrides: Mapping[str, str],
    sample: SampleConfig,
) -> Point:
    """Measures one combination and appends it to the ablation's file.

    Args:
        settings: the swept ones among the overrides.
        overrides: all; those that are not the ablation's own or the sample's go to the build.

    Raises:
        MavError: the build failed.
    """
    root = Path(ablation.root).absolute()
    words = [f"{k}={v}" for k, v in overrides.items() if k.partition(".")[0] not in _NO_BUILD]
    source, truth = _clips(ablation, root, sample)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        if ablation.masks != "none":
            degrade(source, Path(folder) / "in", ablation.masks)
            source = Path(folder) / "in"
        point = measure(settings, words, source, truth, Path(folder) / "out")
    with (root / f"{ablation.name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(point)) + "\n")
    return point


def _clips(ablation: Ablation, root: Path, sample: SampleConfig) -> tuple[Path, Path]:
    """The folders of clips and truth; the sample is rendered once for each of its settings."""
    if ablation.source is not None and ablation.gt is not None:
        return Path(ablation.source).absolute(), Path(ablation.gt).absolute()
    values = (sample.clips, sample.frames, sample.width, sample.height, sample.seed)
    name = "sample-{}x{}-{}x{}-{}".format(*values)
    folder = root / "-".join((name, *sample.kinds))
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=root) as part:
            render(Path(part) / "sample", sample)
            (Path(part) / "sample").rename(folder)
    return folder / "sav_train", folder / TRUTH


def degrade(source: Path, target: Path, name: str) -> None:
    """A twin of a SA-V train folder whose manual masks are degraded."""
    for path in sorted(source.rglob("*_manual.json")):
        folder = target / path.parent.relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        document = json.loads(path.read_text())
        sides = int(document["video_height"]), int(document["video_width"])
        document["masklet"] = _degraded(document["masklet"], sides, name)
        (folder / path.name).write_text(json.dumps(document))
        video = path.with_name(path.name.replace("_manual.json", ".mp4"))
        shutil.copyfile(video, folder / video.name)


def _degraded(
    frames: Sequence[Sequence[Any]], sides: tuple[int, int], name: str
) -> list[tuple[Any, ...]]:
    """[annotated frame][masklet] of COCO's run lengths; null where nothing is left."""
    columns = []
    for column in zip(*frames, strict=True):
        rles = [parse_rle(rle, *sides, role="manual") for rle in column]
        empty = np.zeros(sides, np.bool_)
        masks = np.stack([empty if rle is None else decode_rle(rle) for rle in rles])
        found = [encode_rle(mask) for mask in DEGRADATIONS[name](masks)]
        columns.append([r and {"size": sides, "counts": r.counts.decode()} for r in found])
    return [*zip(*columns, strict=True)]


def measure(
    settings: Mapping[str, str], words: Sequence[str], source: Path, truth: Path, root: Path
) -> Point:
    """Builds ``source`` into ``root`` with ``words`` as overrides, and compares it with ``truth``.

    Gates are off: an error must not leave the mean by being rejected.

    Raises:
        MavError: the build failed.
    """
    places = (f"source.root={source}", f"output.root={root}", "quality.enabled=false")
    command = [sys.executable, "-m", "mav_pipeline", "build", "--json", *words, *places]
    report, memory_mb = _run(command)
    built = BuiltSet.open(LocalStorage(root))
    found = evaluate(built, Truth.open(EvaluateConfig(root=str(truth), layout="alpha_gt"), None))
    rows = built.rows().select(("key", "masklet", "quality")).to_pylist()
    qualities = {(row["key"], row["masklet"]): row["quality"] for row in rows}
    values = [qualities[item.video_id, item.masklet] for item in found.masklets]
    overall = found.to_json()["overall"]
    return Point(
        settings=settings,
        masklets=overall["masklets"],
        frames=overall["frames"],
        error=overall["error"],
        metrics={metric: overall[metric] for metric in METRICS},
        quality=fmean(values) if None not in values else None,
        frames_per_s=report["frames_per_s"],
        matted_per_s=report["frames"] / report["stages_s"]["matting"],
        memory_mb=memory_mb,
        strata={
            stratum: {
                group: (fmean(item.error for item in members), len(members))
                for group, members in found.strata()[stratum].items()
            }
            for stratum in _STRATA
        },
    )


def _run(command: Sequence[str]) -> tuple[dict[str, Any], float]:
    """The JSON that a command prints, and its most resident memory in MB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise MavError(f"{' '.join(command)} ended with {process.returncode}; its lines say why")
    return json.loads(printed), usage.ru_maxrss * 1024 / 1e6
