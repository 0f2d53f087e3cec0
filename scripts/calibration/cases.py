"""Many mattes of a subject, from perfect to lost, with their errors and scores.

    subject -> masks (faithful, coarse) -> mattes (backends, damages) -> rows

Scores see frames, mask and alpha; the truth is for the error alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mav_pipeline.cli import load_config
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.quality import Scorer
from mav_pipeline.quality.sampling import Look
from mav_pipeline.schema import Alpha, LoadedClip, Masklet, MatteFailure, Seams
from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.synthetic.degrade import DEGRADATIONS

from .damages import FIT, JUDGE, WINDOWS, Case
from .points import Points, points_of
from .subjects import Subject, corpus

__all__ = ["MASKS", "Row", "Variant", "corpus", "error", "matte", "rows", "scores", "variants"]

MASKS = ("faithful", "down8", "down32", "poly.005", "blob.06")
COVERED = 0.5  # of the faithful mask: one that holds less, as x32 leaves of a mesh, is none
#: Damaged mattes of each subject: strengths of every damage of the truth under a faithful mask,
#: then damages drawn, of the truth and of closed_form's matte.
STRENGTHS = 2
DRAWN: Mapping[tuple[str, str], int] = {
    ("faithful", "closed_form"): 10,
    ("coarse", "truth"): 8,
    ("coarse", "closed_form"): 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One matte.

    Attributes:
        base: what was spoilt, where ``damage`` is not ``none``: ``truth`` or ``closed_form``; else
            what the matte is, which may be ``mask`` or, under a coarse mask, ``closed_form of the
            faithful mask`` too.
        error: sum |alpha - truth| / sum truth, over the subject.
    """

    source: str
    unit: str
    subject: str
    mask: str
    base: str
    damage: str
    strength: float
    error: float
    scores: Mapping[str, float | None]

    @property
    def plain(self) -> bool:
        """Not damaged."""
        return self.damage == "none"

    @property
    def group(self) -> tuple[str, str]:
        """What its rivals share: the subject and its mask."""
        return self.subject, self.mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A matte of a subject with one of its masks."""

    mask: str
    base: str
    damage: str
    strength: float
    masklet: Masklet
    alpha: Alpha


def rows(subject: Subject) -> Iterator[tuple[Row, Points]]:
    """Every matte of a subject, scored, and what was seen at points of it."""
    for one in variants(subject):
        seams = WINDOWS if one.damage == "resets" else Seams()
        looks: list[tuple[int, Look]] = []
        found = dict(scores(subject.loaded, one.masklet, one.alpha, seams, looks))
        # Made of the others, or of the points, by what may still change.
        del found["quality"], found["expected_error"]
        row = Row(
            source=subject.source,
            unit=subject.unit,
            subject=subject.name,
            mask=one.mask,
            base=one.base,
            damage=one.damage,
            strength=one.strength,
            error=round(error(one.alpha, subject.truth), 6),
            scores=found,
        )
        yield row, points_of(looks, one.alpha, subject.truth)


def variants(subject: Subject) -> Iterator[Variant]:
    """Every matte of a subject, the same each time."""
    faithful, truth = subject.masks, subject.truth
    good = matte("closed_form", subject.loaded, subject.masklet)
    for kind in MASKS:
        masks = faithful if kind == "faithful" else DEGRADATIONS[kind](faithful)
        if np.count_nonzero(masks & faithful) < COVERED * np.count_nonzero(faithful):
            continue
        masklet = subject.with_masks(masks)
        closed = good if kind == "faithful" else matte("closed_form", subject.loaded, masklet)
        bases = {"truth": truth, "closed_form": closed}
        plain = {**bases, "mask": masks.astype(np.uint8) * np.uint8(255)}
        if kind != "faithful":
            plain["closed_form of the faithful mask"] = good
        made = [(base, "none", 0.0, alpha) for base, alpha in plain.items()]
        for base, alpha in bases.items():
            case = _case(subject, f"{base} {kind}", alpha, masks, closed)
            made += [(base, *one) for one in _spoilt(case, kind, base)]
        for base, damage, strength, alpha in made:
            yield Variant(
                mask=kind,
                base=base,
                damage=damage,
                strength=strength,
                masklet=masklet,
                alpha=alpha,
            )


def _case(subject: Subject, name: str, alpha: Alpha, masks: np.ndarray, closed: Alpha) -> Case:
    visible = np.array(subject.masklet.visible)
    return Case(
        alpha=alpha,
        frames=np.stack([*subject.loaded.frames]),
        masks=masks,
        closed=closed,
        other=subject.other,
        side=float(np.sqrt(subject.truth.sum() / 255 / max(1, np.count_nonzero(visible)))),
        visible=visible,
        seed=zlib.crc32(f"{subject.name} {name}".encode()),
    )


def _spoilt(case: Case, kind: str, base: str) -> Iterator[tuple[str, float, Alpha]]:
    """Damages that change something; each strength as likely as another."""
    table = FIT | JUDGE
    rng = case.rng()
    names = [*table]
    number = DRAWN.get(("faithful" if kind == "faithful" else "coarse", base))
    if number is not None:
        names = sorted(str(name) for name in rng.choice(names, number, replace=False))
    for name in names:
        spoil, strengths = table[name]
        count = 1 if number is not None else min(STRENGTHS, len(strengths))
        for strength in sorted(rng.choice(strengths, count, replace=False)):
            alpha = spoil(case, float(strength))
            if not np.array_equal(alpha, case.alpha):
                yield name, float(strength), alpha


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
    loaded: LoadedClip,
    masklet: Masklet,
    alpha: Alpha,
    seams: Seams,
    looks: list[tuple[int, Look]],
) -> Mapping[str, float | None]:
    """As a build scores it; ``looks`` receives what was seen at points."""
    scorer = Scorer(full=True, keep=looks)
    for index, (rle, frame) in enumerate(zip(masklet.rles, loaded.frames, strict=True)):
        if rle is not None:
            scorer.add(index, alpha[index], rle, frame)
    return scorer.scores(seams)
