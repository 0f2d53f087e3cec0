"""Where masklets of known truth come from, cut out as subjects of a few frames.

    source -> unit (a rendered clip, or a piece of a real one) -> subjects

Each unit can be opened by itself, so that a calibration goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from mav_pipeline.cli import load_config
from mav_pipeline.media.images import decode_png
from mav_pipeline.media.masks import decode_rle, encode_rle
from mav_pipeline.schema import Alpha, LoadedClip, Masklet, Masks, WorkingSize
from mav_pipeline.sources.registry import open_source
from mav_pipeline.synthetic import Photographs, render

MARGIN = 0.3  # what a subject shows around its object / sqrt(object area)
FRAMES = 4  # of a subject of a clip: two of them are looked at, the first and the last
STEP = 4  # video frames from one annotated frame to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One masklet, cut out of its clip at source resolution.

    Attributes:
        name: of the subject, from any source.
        unit: of the source, that it is a part of.
        loaded: the cut clip, with this masklet alone.
        truth: (T, H, W).
        other: (T, H, W) alpha of another object, as far as it is seen there; else the own, moved.
    """

    source: str
    unit: str
    name: str
    loaded: LoadedClip
    truth: Alpha
    other: Alpha

    @property
    def masklet(self) -> Masklet:
        return self.loaded.clip.masklets[0]

    @property
    def masks(self) -> Masks:
        """(T, H, W), False where the object is not seen."""
        empty = np.zeros(self.truth.shape[1:], np.bool_)
        return np.stack([empty if r is None else decode_rle(r) for r in self.masklet.rles])

    def with_masks(self, masks: Masks) -> Masklet:
        """The masklet, were these its masks."""
        rles = tuple(encode_rle(mask) if mask.any() else None for mask in masks)
        return dataclasses.replace(self.masklet, rles=rles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One collection; a rendered one has its own name for each of its kinds of structure.

    Attributes:
        about: what it is, for the page.
        units: what is opened at a time, in order.
        subjects: (unit, working folder) -> what it holds.
        fitted: whether the shipped weights are fitted to it; what is not, is judged alone.
        shown: whether its pictures may be published.
    """

    about: str
    units: tuple[str, ...]
    subjects: Callable[[str, Path], Iterator[Subject]]
    fitted: bool
    shown: bool = True


def corpus(
    source: Path, truth: Path, layout: Literal["sav_train", "sav_eval"] = "sav_train"
) -> Iterator[tuple[LoadedClip, dict[str, Alpha]]]:
    """Clips in memory, with the true alpha of the masklets that have one."""
    kind = "manual" if layout == "sav_train" else "gt"
    words = (f"source={layout}", f"source.root={source}", f"source.masklets={kind}")
    settings = load_config(words)
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


def cut_out(
    loaded: LoadedClip, truths: Mapping[str, Alpha], first: int, count: int
) -> Iterator[tuple[str, LoadedClip, Alpha, Alpha]]:
    """Every masklet of a piece of a clip: name, clip cut around it, its truth, another's."""
    clip, piece = loaded.clip, slice(first, first + count)
    frames = [*loaded.frames][piece]
    for masklet in clip.masklets:
        if masklet.name not in truths or not truths[masklet.name][piece].any():
            continue
        truth = truths[masklet.name][piece]
        box = _box(truth)
        height, width = truth[0][box].shape
        at = (slice(None), *box)
        rles = [None if r is None else decode_rle(r)[box] for r in masklet.rles[piece]]
        shown = [m if m is not None and m.any() else None for m in rles]
        if all(mask is None for mask in shown):
            continue
        own = dataclasses.replace(
            masklet,
            rles=tuple(None if mask is None else encode_rle(mask) for mask in shown),
            annotated=None,
        )
        small = dataclasses.replace(
            clip,
            width=width,
            height=height,
            frame_indices=clip.frame_indices[piece],
            masklets=(own,),
            size=WorkingSize(height, width, height, width),
        )
        cut = np.ascontiguousarray(truth[at])
        cut[~np.array(own.visible)] = 0
        others = (truths[name][piece][at] for name in sorted({*truths} - {masklet.name}))
        other = next((one for one in others if one.any()), np.roll(cut, width // 3, axis=2))
        pictures = [np.ascontiguousarray(frame[box]) for frame in frames]
        yield masklet.name, LoadedClip(small, pictures), cut, np.ascontiguousarray(other)


def _box(truth: Alpha) -> tuple[slice, slice]:
    seen = truth.max(axis=0) > 0
    area = truth.sum() / 255 / max(1, np.count_nonzero(truth.any(axis=(1, 2))))
    by = 12 + round(MARGIN * float(np.sqrt(area)))
    found = []
    for axis in (1, 0):
        at = np.flatnonzero(seen.any(axis=axis))
        found.append(slice(max(0, int(at[0]) - by), int(at[-1]) + 1 + by))
    return found[0], found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    """Subjects of units "SEED xFRAMES": a clip with so many annotated frames, kept once rendered.

    Attributes:
        words: settings of the sample.
        photographs: what objects and grounds are made of.
    """

    source: str
    words: tuple[str, ...]
    photographs: Callable[[], Photographs] = Photographs

    def __call__(self, unit: str, work: Path) -> Iterator[Subject]:
        seed, _, frames = unit.partition(" x")
        root = work / "clips" / f"{self.source}-{seed}x{frames}"
        # A clip is there whole or not at all: a stopped run leaves no half of one behind.
        if not root.is_dir():
            part = root.with_name(root.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            count = (int(frames) - 1) * STEP + 1
            more = (f"sample.frames={count}", f"sample.seed={seed}", "sample.clips=1")
            settings = load_config((*self.words, *more)).sample
            render(part, settings, self.photographs())
            part.rename(root)
        for loaded, truths in corpus(root / "sav_train", root / "alpha_gt"):
            for name, *parts in cut_out(loaded, truths, 0, len(loaded.clip.frame_indices)):
                yield _subject(self.source, unit, name, *parts)


def _real(
    source: str, root: Path, layout: Literal["sav_train", "sav_eval"]
) -> Callable[[str, Path], Iterator[Subject]]:
    """Of units "VIDEO @FIRST": ``FRAMES`` frames from that one on."""

    def subjects(unit: str, work: Path) -> Iterator[Subject]:
        video, _, first = unit.partition(" @")
        folder = {"sav_train": "sav_train", "sav_eval": "."}[layout]
        for loaded, truths in corpus(root / folder, root / "alpha_gt", layout):
            if loaded.clip.video_id == video:
                for name, *parts in cut_out(loaded, truths, int(first), FRAMES):
                    yield _subject(source, unit, name, *parts)

    return subjects


def _subject(
    source: str, unit: str, masklet: str, loaded: LoadedClip, truth: Alpha, other: Alpha
) -> Subject:
    name = f"{source}/{unit}/{masklet}"
    return Subject(source=source, unit=unit, name=name, loaded=loaded, truth=truth, other=other)


def _seeds(first: int, *frames: int) -> tuple[str, ...]:
    return tuple(f"{first + number} x{count}" for number, count in enumerate(frames))


SHARED = Path(__file__).resolve().parents[3] / "shared/data"
#: What scikit-image ships without any download, all in the public domain or CC0.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
_SIZE = ("sample.width=960", "sample.height=540")
_FINE = ("mesh", "leaves", "hairs", "lace")


def sources(shared: Path) -> dict[str, Source]:
    """All of them; of those that need more than the project, the ones that are at hand.

    Args:
        shared: folder that may hold ``sav_mini`` and ``real_truth``.
    """
    soft = ("sample.kinds=[hairy,soft,sheer,blurred]", "sample.width=640", "sample.height=360")
    found = {
        "soft": Source(
            about="rendered bodies, hair and veils, two tones each, 640x360",
            units=_seeds(1000, 4, 4, 4, 4),
            subjects=_Rendered(source="soft", words=soft),
            fitted=True,
        )
    }
    for number, kind in enumerate(_FINE):
        found[kind] = Source(
            about=f"rendered {kind} of painted texture before painted grounds, 960x540",
            units=_seeds(2000 + 100 * number, 4, 1, 4, 1, 1),
            subjects=_Rendered(source=kind, words=(f"sample.kinds=[{kind}]", *_SIZE)),
            fitted=True,
        )
    folder = _photographs()
    if folder is not None:
        found["photographs"] = Source(
            about="rendered fine structure, its textures and grounds from photographs, 960x540",
            units=_seeds(3000, 4, 1, 1, 1, 1, 1, 1, 1),
            subjects=_Rendered(
                source="photographs",
                words=(f"sample.kinds=[{','.join(_FINE)}]", *_SIZE),
                photographs=partial(_pictured, folder),
            ),
            fitted=False,
        )
    if (shared / "sav_mini").is_dir():
        found["sav_mini"] = Source(
            about="objects painted under real masks over real footage, 480x848",
            units=tuple(f"sav_000001 @{first}" for first in (0, 12, 24, 36)),
            subjects=_real("sav_mini", shared / "sav_mini", "sav_train"),
            fitted=False,
        )
    if (shared / "real_truth").is_dir():
        found["real_truth"] = Source(
            about="a keyed dancer over real footage, 640x360",
            units=tuple(f"dan_{clip} @{first}" for clip in range(5) for first in (0, 4)),
            subjects=_real("real_truth", shared / "real_truth", "sav_eval"),
            fitted=False,
            shown=False,
        )
    return found


def _photographs() -> Path | None:
    """Where scikit-image keeps its pictures; None without it."""
    found = importlib.util.find_spec("skimage")
    return None if found is None or found.origin is None else Path(found.origin).parent / "data"


def _pictured(folder: Path) -> Photographs:
    pictures = [np.asarray(Image.open(folder / name).convert("RGB")) for name in PHOTOGRAPHS]
    return Photographs(textures=pictures, grounds=[[picture] for picture in pictures])
