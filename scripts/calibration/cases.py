"""Scores and errors of many mattes of rendered clips: what is fitted and what is judged.

    seed -> clips with truth -> masks (faithful, coarse) -> mattes (backends, damages) -> rows

Scores see frames, mask and alpha; the truth is for the error alone.
"""

from __future__ import annotations

import dataclasses
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mav_pipeline.cli import load_config
from mav_pipeline.evaluate.strata import Shape, motion_group, resolution_group, size_group
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.media.images import decode_png
from mav_pipeline.media.masks import decode_rle, encode_rle
from mav_pipeline.quality import Scorer
from mav_pipeline.schema import Alpha, Clip, LoadedClip, Masklet, Masks, MatteFailure, Seams
from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.sources.registry import open_source
from mav_pipeline.synthetic import render
from mav_pipeline.synthetic.degrade import DEGRADATIONS

from .damages import FIT, JUDGE, WINDOWS, Case, Damage

Half = Literal["fit", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One matte.

    Attributes:
        error: sum |alpha - truth| / sum truth, over the masklet.
        limit: twice the error of closed_form with the same mask on that masklet.
        base: what was spoilt: ``truth`` or ``closed_form``.
        groups: the masklet's group of each stratum, by its truth.
    """

    clip: str
    masklet: str
    mask: str
    base: str
    damage: str
    strength: float
    error: float
    limit: float
    scores: Mapping[str, float | None]
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One half of the calibration; the halves share no seed, and not all damages nor masks."""

    seeds: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    damages: Mapping[str, tuple[Damage, tuple[float, ...]]]
    masks: tuple[str, ...]


PLANS: dict[Half, Plan] = {
    "fit": Plan(
        seeds=tuple(range(1000, 1006)),
        sizes=((256, 144), (384, 216)),
        damages=FIT,
        masks=("down8", "poly.005", "poly.02", "blob.12"),
    ),
    "judge": Plan(
        seeds=tuple(range(4000, 4006)),
        sizes=((256, 144), (384, 216)),
        damages=JUDGE,
        masks=("down8", "down32", "32 px", "poly.001", "poly.005", "blob.06"),
    ),
}
CLIPS, FRAMES = 2, 36  # a seed: clips, and video frames, of which every 4th is annotated


def rows(half: Half) -> Iterator[Row]:
    """Every matte of one half."""
    plan = PLANS[half]
    for number, seed in enumerate(plan.seeds):
        with tempfile.TemporaryDirectory(prefix="mav-calibration-") as folder:
            root = Path(folder)
            width, height = plan.sizes[number % len(plan.sizes)]
            words = (f"sample.clips={CLIPS}", f"sample.frames={FRAMES}", f"sample.seed={seed}")
            render(
                root,
                load_config((*words, f"sample.width={width}", f"sample.height={height}")).sample,
            )
            for loaded, truths in corpus(root / "sav_train", root / "alpha_gt"):
                yield from clip_rows(plan, loaded, truths, f"{seed}/{loaded.clip.video_id}")


def real_rows(mini: Path) -> Iterator[Row]:
    """Every matte of the real masklets whose truth is known; judged, never fitted."""
    plan = dataclasses.replace(PLANS["judge"], masks=("down32", "blob.06"))
    for loaded, truths in corpus(mini / "sav_train", mini / "alpha_gt"):
        yield from clip_rows(plan, loaded, truths, loaded.clip.video_id)


def corpus(source: Path, truth: Path) -> Iterator[tuple[LoadedClip, dict[str, Alpha]]]:
    """Clips in memory, with the true alpha of the masklets that have one."""
    settings = load_config((f"source.root={source}", "source.masklets=manual"))
    opened = open_source(settings)
    for ref in opened.discover().clips:
        loaded = opened.load(ref, settings.matting.size_rule(1))
        clip = loaded.clip
        truths: dict[str, Alpha] = {}
        for masklet in clip.masklets:
            folder = truth / clip.video_id / masklet.name
            if masklet.problem is None and folder.is_dir():
                paths = [folder / f"{index:05d}.png" for index in clip.frame_indices]
                alpha = np.stack([decode_png(path.read_bytes()) for path in paths])
                alpha[~np.array(masklet.visible)] = 0
                truths[masklet.name] = alpha
        if truths:
            yield LoadedClip(clip, [*loaded.frames]), truths  # gone through for each matte


def clip_rows(
    plan: Plan, loaded: LoadedClip, truths: Mapping[str, Alpha], name: str
) -> Iterator[Row]:
    """Every matte of one clip."""
    clip = loaded.clip
    for masklet in clip.masklets:
        truth = truths.get(masklet.name)
        if truth is None or not truth.any():
            continue
        groups = _groups(clip, truth)
        others = [alpha for key, alpha in truths.items() if key != masklet.name]
        faithful = _decoded(masklet, truth.shape[1:])
        closed_faithful = matte("closed_form", loaded, masklet)
        for kind in ("faithful", *plan.masks):
            masks = faithful if kind == "faithful" else DEGRADATIONS[kind](faithful)
            guide = dataclasses.replace(masklet, rles=tuple(encode_rle(mask) for mask in masks))
            closed = closed_faithful if kind == "faithful" else matte("closed_form", loaded, guide)
            limit = 2 * error(closed, truth)
            mattes = {
                ("truth", "none", 0.0): truth,
                ("binary", "none", 0.0): masks.astype(np.uint8) * np.uint8(255),
                ("closed_form", "none", 0.0): closed,
            }
            bases = {"truth": truth, "closed_form": closed}
            if kind != "faithful":
                mattes["closed_form, faithful", "none", 0.0] = closed_faithful
            for base, alpha in bases.items():
                mattes |= _spoilt(plan, base, alpha, others, np.array(masklet.visible), name, kind)
            for (base, damage, strength), alpha in mattes.items():
                yield Row(
                    clip=name,
                    masklet=masklet.name,
                    mask=kind,
                    base=base,
                    damage=damage,
                    strength=strength,
                    error=error(alpha, truth),
                    limit=limit,
                    scores=scores(loaded, guide, alpha, WINDOWS if damage == "resets" else Seams()),
                    groups=groups,
                )


def _groups(clip: Clip, truth: Alpha) -> dict[str, str]:
    shape = Shape()
    for index, alpha in enumerate(truth):
        shape.add(index, alpha)
    return {
        "environment": clip.environment or "unknown",
        "size": size_group(shape.area),
        "motion": motion_group(shape.motion),
        "resolution": resolution_group(clip.height, clip.width),
    }


def _spoilt(
    plan: Plan, base: str, alpha: Alpha, others: list[Alpha], visible: Masks, name: str, kind: str
) -> dict[tuple[str, str, float], Alpha]:
    made = {}
    side = float(np.sqrt(alpha.sum() / 255 / max(1, np.count_nonzero(visible))))
    seed = zlib.crc32(f"{name} {base} {kind}".encode())
    other = others[seed % len(others)] if others else np.roll(alpha, alpha.shape[2] // 3, axis=2)
    case = Case(alpha, other, side, visible, seed)
    for number, (damage, (spoil, strengths)) in enumerate(plan.damages.items()):
        for place, strength in enumerate(strengths):
            # Poor masks multiply the mattes: there each damage takes one of its strengths.
            if kind == "faithful" or place == (seed + number) % len(strengths):
                made[base, damage, strength] = spoil(case, strength)
    return made


def error(alpha: Alpha, truth: Alpha) -> float:
    """Sum |alpha - truth| / sum truth."""
    return float(cv2.norm(alpha.ravel(), truth.ravel(), cv2.NORM_L1) / truth.sum(dtype=np.int64))


_BACKENDS: dict[str, MattingBackend] = {}


def matte(backend: str, loaded: LoadedClip, masklet: Masklet) -> Alpha:
    """(T, H, W) at source resolution, which these clips are matted at."""
    clip = loaded.clip
    if backend not in _BACKENDS:
        _BACKENDS[backend] = open_backend(load_config((f"matting={backend}",)).matting)
        _BACKENDS[backend].setup()
    alpha = np.zeros((len(clip.frame_indices), clip.height, clip.width), np.uint8)
    for block in _BACKENDS[backend].matte(clip, iter(loaded.frames), [masklet]):
        assert not isinstance(block, MatteFailure), block
        alpha[block.start : block.start + len(block.alpha)] = block.alpha
    return alpha


def scores(
    loaded: LoadedClip, masklet: Masklet, alpha: Alpha, seams: Seams
) -> Mapping[str, float | None]:
    """As a build scores it."""
    scorer = Scorer(full=True)
    for index, (rle, frame) in enumerate(zip(masklet.rles, loaded.frames, strict=True)):
        if rle is not None:
            scorer.add(index, alpha[index], rle, frame)
    return scorer.scores(seams)


def _decoded(masklet: Masklet, shape: tuple[int, ...]) -> Masks:
    empty = np.zeros(shape, np.bool_)
    return np.stack([empty if rle is None else decode_rle(rle) for rle in masklet.rles])
