"""Where masklets of known truth come from.

    source -> unit (a rendered clip, or a piece of a real one) -> subjects

Each unit can be opened by itself, so that a calibration goes on where it was stopped.
"""

from __future__ import annotations

import importlib.util
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mav_pipeline.cli import load_config
from mav_pipeline.synthetic import Photographs, render

from .code import code
from .subjects import Layout, Subject, corpus, cut_out, nearer

FRAMES = 4  # of a subject of a clip: two of them are looked at, the first and the last
NEAR = 2  # times, that a clip is enlarged by
STEP = 4  # video frames from one annotated frame to the next


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    """Subjects of units "SEED xFRAMES" or "SEED xFRAMES near", of clips kept once rendered.

    Attributes:
        words: settings of the sample.
        exact: masks are the truth at one half, as people draw them who mean to; else the sample's.
        photographs: what objects and grounds are made of.
    """

    source: str
    words: tuple[str, ...]
    exact: bool
    photographs: Callable[[], Photographs] = Photographs

    def __call__(self, unit: str, work: Path) -> Iterator[Subject]:
        seed, frames, *near = unit.split(" ")
        name = f"{self.source}-{seed}{frames}-{zlib.crc32(' '.join(self.words).encode()):08x}"
        root = work / "clips" / code("synthetic") / name
        # A clip is there whole or not at all: a stopped run leaves no half of one behind.
        if not root.is_dir():
            part = root.with_name(root.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            count = (int(frames[1:]) - 1) * STEP + 1
            more = (f"sample.frames={count}", f"sample.seed={seed}", "sample.clips=1")
            settings = load_config((*self.words, *more)).sample
            render(part, settings, self.photographs())
            part.rename(root)
        for loaded, truths in corpus(root / "sav_train", root / "alpha_gt"):
            clip = nearer(loaded, truths, NEAR if near else 1, exact=self.exact)
            for name, *parts in cut_out(*clip, 0, FRAMES):
                yield Subject.of(self.source, unit, name, *parts)


def _real(source: str, root: Path, layout: Layout) -> Callable[[str, Path], Iterator[Subject]]:
    """Of units "VIDEO @FIRST": ``FRAMES`` frames from that one on."""

    def subjects(unit: str, work: Path) -> Iterator[Subject]:
        video, _, first = unit.partition(" @")
        folder = {"sav_train": "sav_train", "sav_eval": "."}[layout]
        for loaded, truths in corpus(root / folder, root / "alpha_gt", layout):
            if loaded.clip.video_id == video:
                for name, *parts in cut_out(loaded, truths, int(first), FRAMES):
                    yield Subject.of(source, unit, name, *parts)

    return subjects


def _seeds(first: int, *kinds: str) -> tuple[str, ...]:
    return tuple(f"{first + number} {kind}" for number, kind in enumerate(kinds))


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
            units=_seeds(1000, "x4", "x4", "x4", "x4"),
            subjects=_Rendered(source="soft", words=soft, exact=False),
            fitted=True,
        )
    }
    # The fourth kind is no object of a clip of three; it brings all of them many colours.
    found["bodies"] = Source(
        about="rendered bodies and hair of painted texture before painted grounds, 960x540",
        units=_seeds(1500, "x4", "x1 near", "x4", "x1", "x1 near"),
        subjects=_Rendered(
            source="bodies", words=("sample.kinds=[hairy,soft,hairs,mesh]", *_SIZE), exact=True
        ),
        fitted=True,
    )
    for number, kind in enumerate(_FINE):
        found[kind] = Source(
            about=f"rendered {kind} of painted texture before painted grounds, 960x540",
            units=_seeds(2000 + 100 * number, "x1", "x1 near", "x1 near", "x4"),
            subjects=_Rendered(source=kind, words=(f"sample.kinds=[{kind}]", *_SIZE), exact=True),
            fitted=True,
        )
    folder = _photographs()
    if folder is not None:
        found["photographs"] = Source(
            about="rendered hairs, bodies, leaves of photographs before photographs, 960x540",
            units=_seeds(3000, "x1 near", "x1", "x4", "x1", "x1 near"),
            subjects=_Rendered(
                source="photographs",
                words=("sample.kinds=[hairs,soft,leaves,mesh]", *_SIZE),
                exact=True,
                photographs=partial(_pictured, folder),
            ),
            fitted=False,
        )
    if (shared / "sav_mini").is_dir():
        found["sav_mini"] = Source(
            about="objects painted under real masks over real footage, 480x848",
            units=tuple(f"sav_000001 @{first}" for first in (0, 16, 32)),
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
