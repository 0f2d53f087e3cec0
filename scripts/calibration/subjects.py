"""Cuts masklets of known truth out of their clips, as subjects of a few frames. Pure but for files.

clip and truth -> perhaps enlarged -> cut around each object
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.cli import load_config
from mav_pipeline.media.images import decode_png
from mav_pipeline.media.masks import decode_rle, encode_rle
from mav_pipeline.schema import Alpha, LoadedClip, Masklet, Masks, WorkingSize
from mav_pipeline.sources.registry import open_source

Layout = Literal["sav_train", "sav_eval"]
MARGIN = 0.3  # what a subject shows around its object / sqrt(object area)
LEAST = 3000  # pixels of an object: a smaller one shows next to nothing of its structure


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

    @classmethod
    def of(
        cls, source: str, unit: str, name: str, loaded: LoadedClip, truth: Alpha, other: Alpha
    ) -> Subject:
        """That of a masklet of this name."""
        name = f"{source}/{unit}/{name}"
        return cls(source=source, unit=unit, name=name, loaded=loaded, truth=truth, other=other)

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


def corpus(
    source: Path, truth: Path, layout: Layout = "sav_train"
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


def nearer(
    loaded: LoadedClip, truths: Mapping[str, Alpha], times: int, *, exact: bool
) -> tuple[LoadedClip, dict[str, Alpha]]:
    """The clip enlarged, as if seen from nearer by: edges as soft as a photograph's.

    Args:
        exact: draw the masks anew, where the truth is one half or more.
    """
    clip = loaded.clip
    height, width = clip.height * times, clip.width * times

    def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if times == 1:
            return picture
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))

    grown = {name: np.stack([enlarged(a) for a in alpha]) for name, alpha in truths.items()}
    masklets = []
    for masklet in clip.masklets:
        if masklet.name not in grown:
            continue
        shown = [alpha > 127 for alpha in grown[masklet.name]]
        if not exact:
            drawn = [None if r is None else decode_rle(r) * np.uint8(255) for r in masklet.rles]
            shown = [np.zeros(1, np.bool_) if d is None else enlarged(d) > 127 for d in drawn]
        rles = tuple(encode_rle(mask) if mask.any() else None for mask in shown)
        masklets.append(dataclasses.replace(masklet, rles=rles))
    size = WorkingSize(height, width, height, width)
    bigger = dataclasses.replace(
        clip, width=width, height=height, masklets=tuple(masklets), size=size
    )
    return LoadedClip(bigger, [enlarged(frame) for frame in loaded.frames]), grown


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
        if truth.max(axis=0).sum() / 255 < LEAST:
            continue
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
