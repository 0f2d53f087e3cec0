"""Masklets and their frames: rendered, rendered behind one another, and real where present."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mav_pipeline.cli import load_config
from mav_pipeline.config import RunConfig
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import Frame, Rle
from mav_pipeline.sources.registry import open_source
from mav_pipeline.synthetic import render
from mav_pipeline.synthetic.annotate import draw
from mav_pipeline.synthetic.compose import compose
from mav_pipeline.synthetic.plan import plan_clip
from mav_pipeline.synthetic.scene import ClipPlan

#: Seed, width and height, clips; 72 video frames, 18 annotated ones, each. Thresholds were chosen
#: with the seeds 7 to 9, and 20 to 31 of those that pass behind others.
SAMPLES = ((17, 640, 360, 4), (18, 1280, 720, 2), (19, 384, 216, 4))
BEHIND_SEEDS = range(40, 52)
_RADII = (0.11, 0.08, 0.07)  # / the frame's height, of objects that pass behind one of a quarter


@dataclass(frozen=True, slots=True)
class Followed:
    """One masklet and the annotated frames of its clip."""

    name: str
    rles: tuple[Rle | None, ...]
    frames: Sequence[Frame]


def sample() -> Iterator[Followed]:
    """Clips of ``mav sample``; in every other one an object leaves the frame and comes back."""
    for seed, width, height, clips in SAMPLES:
        with tempfile.TemporaryDirectory(prefix="mav-lost-") as folder:
            words = (f"sample.clips={clips}", "sample.frames=72", f"sample.seed={seed}")
            size = (f"sample.width={width}", f"sample.height={height}")
            render(Path(folder), load_config((*words, *size)).sample)
            yield from stored((f"source.root={folder}/sav_train",), f"sample {seed}")


def behind() -> Iterator[Followed]:
    """Small objects that swing behind a large one, wholly or in part, well inside the frame."""
    for seed in BEHIND_SEEDS:
        plan = _crossing(seed)
        frames: list[Frame] = []
        masks: list[list[Rle | None]] = [[] for _ in plan.objects]
        for number, composed in enumerate(compose(plan)):
            if number in plan.annotated:
                frames.append(composed.rgb)
                for column, cover in zip(masks, composed.covers, strict=True):
                    column.append(encode_rle(draw(cover, plan.unit, careful=True).mask))
        for number, column in enumerate(masks):
            yield Followed(f"behind {seed}/{number}", tuple(column), frames)


def _crossing(seed: int) -> ClipPlan:
    width, height = (512, 288) if seed % 2 else (384, 216)
    words = ("sample.clips=9", "sample.frames=60", f"sample.seed={seed}")
    size = (f"sample.width={width}", f"sample.height={height}")
    plan = plan_clip(load_config((*words, *size)).sample, seed % 8)
    objects = []
    for number, thing in enumerate(plan.objects):
        off = 0.05 * (number - 2) if number else 0.0
        motion = replace(
            thing.motion,
            centre=(width * 0.5, height * (0.5 + off)),
            swing=(width * 0.36, height * 0.03) if number else (width * 0.02, 2.0),
            period=60 + 9 * number + seed % 7 if number else thing.motion.period,
            phase=number * 1.3,
            leave=(0.0, 0.0),
        )
        radius = _RADII[(number - 1) % 3] * height if number else thing.radius
        objects.append(replace(thing, radius=radius, motion=motion))
    objects[0] = replace(objects[0], kind=("hairy", "soft", "blurred")[seed % 3])
    return replace(plan, objects=tuple(objects), depth=(*range(1, len(objects)), 0))


def real(shared: Path) -> Iterator[Followed]:
    """Masklets that show an object, of the real sets that a folder holds."""
    mini, dancer = shared / "sav_mini/sav_train", shared / "real_truth"
    if mini.is_dir():
        for item in stored((f"source.root={mini}",), "sav_mini"):
            # The others of this clip are masks with nothing painted under them.
            if "sav_000001" not in item.name or item.name[-1] in "12":
                yield item
    if dancer.is_dir():
        yield from stored(("source=sav_eval", f"source.root={dancer}"), "real_truth")


def stored(words: Sequence[str], name: str) -> Iterator[Followed]:
    """Every masklet of a source."""
    settings: RunConfig = load_config(words)
    source = open_source(settings)
    for ref in source.discover().clips:
        loaded = source.load(ref, settings.matting.size_rule(1))
        size = loaded.clip.size
        frames = [frame[: size.height, : size.width].copy() for frame in loaded.frames]
        for masklet in loaded.clip.masklets:
            if masklet.problem is None:
                whole = f"{name}/{loaded.clip.video_id}/{masklet.name}"
                yield Followed(whole, masklet.rles, frames)
