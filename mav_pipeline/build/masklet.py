"""From working-size alpha to a stored, scored masklet, frame by frame.

    Matte -> restore to source size -> encode + score -> Encoded
    Encoded + frames that were lost -> judge -> StoredMasklet + manifest row

Mattes of one masklet come in order; what they leave out is transparent. Memory is a frame or two,
however long the clip; the clip's own frames are borrowed with each block, and the last one looked
at is let go with the masklet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mav_pipeline.build.timing import StageTimes
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.manifest import Row, masklet_row
from mav_pipeline.dataset.sample import StoredMasklet, alpha_writer
from mav_pipeline.media.sizing import restore
from mav_pipeline.quality import LostFrames, Scorer, judge
from mav_pipeline.schema import AlphaFrame, Clip, Frame, Masklet, Matte, Member, Seams, size_of

_HALF = 127  # alpha above it shows an object


@dataclass(frozen=True, slots=True)
class Finished:
    """A masklet done: its row, and what a sample stores of it (None where the gates say no)."""

    row: Row
    stored: StoredMasklet | None
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A masklet whose alpha is whole. Frames after its last may still show that it was lost.

    Attributes:
        frames: on which alpha was made.
        ghosts: annotated frames without the object on which alpha shows one all the same.
    """

    clip: Clip
    masklet: Masklet
    config: RunConfig
    members: Sequence[Member]
    scorer: Scorer
    seams: Seams
    notes: Sequence[str]
    frames: int
    ghosts: int

    def judged(self, shard: str, lost: LostFrames | None) -> Finished:
        """Judges it, when every frame of the clip was seen.

        Args:
            lost: where its object was lost; None where nobody looked.
        """
        absent = _absent(self.masklet) - self.ghosts
        scores = self.scorer.scores(self.seams, absent=absent, ghosts=self.ghosts, lost=lost)
        verdict = judge(scores, self.config.quality)
        kept = verdict.status == "accepted" or self.config.quality.keep_rejected
        values: dict[str, Any] = {
            "status": verdict.status,
            "reasons": [*verdict.reasons, *self.notes],
            "lost_frames": self.scorer.lost_frames(lost),
            "mean_area": self.scorer.mean_area,
            "motion": self.scorer.motion,
            **verdict.scores,
            "windows": self.seams.count,
            "alpha_bytes": sum(size_of(data) for _, data in self.members),
            "seed": self.config.matting.seed,
        }
        return Finished(
            row=masklet_row(self.clip, self.masklet, shard, values),
            stored=StoredMasklet(self.masklet, verdict, tuple(self.members)) if kept else None,
            frames=self.frames,
        )


class MaskletFinisher:
    """Takes the mattes of one masklet; not thread-safe, one thread at a time."""

    def __init__(self, clip: Clip, masklet: Masklet, config: RunConfig, times: StageTimes) -> None:
        self._clip, self._masklet, self._config, self._times = clip, masklet, config, times
        self._writer = alpha_writer(config.output.alpha, clip, masklet)
        self._scorer = Scorer(full=config.quality.scores == "full")
        self._empty = np.zeros((clip.height, clip.width), np.uint8)
        self._next = self._ghosts = 0
        self._made = sum(masklet.visible)
        self._notes = dict.fromkeys(masklet.notes)

    def add(self, matte: Matte, frames: Sequence[Frame] | None) -> None:
        """Encodes and scores a block, after transparent frames up to its start.

        Args:
            frames: the clip's under the block, (clip.size.pad_height, clip.size.pad_width, 3)
                each; None where scores do not look at pictures.
        """
        assert matte.start >= self._next, "mattes of a masklet must ascend"
        self._fill(matte.start)
        if matte.note:
            self._notes[matte.note] = None
        size = self._clip.size
        for number, alpha in enumerate(matte.alpha):
            frame = None if frames is None else frames[number][: size.height, : size.width]
            alpha = restore(alpha, matte.size, self._clip.height, self._clip.width)
            self._frame(alpha, frame)

    def close(self, seams: Seams) -> Encoded:
        """Finishes the alpha stream."""
        self._fill(len(self._clip.frame_indices))
        with self._times.stage("encode"):
            members = self._writer.close()
        self._scorer.let_go()
        return Encoded(
            clip=self._clip,
            masklet=self._masklet,
            config=self._config,
            members=members,
            scorer=self._scorer,
            seams=seams,
            notes=tuple(self._notes),
            frames=self._made,
            ghosts=self._ghosts,
        )

    def _fill(self, until: int) -> None:
        while self._next < until:
            self._frame(self._empty)

    def _frame(self, alpha: AlphaFrame, frame: Frame | None = None) -> None:
        rle = self._masklet.rles[self._next]
        if rle is None and not self._config.matting.tracks:
            alpha = self._empty
        elif rle is None and alpha is not self._empty:
            self._made += 1
            looked = self._masklet.looked_for[self._next]
            self._ghosts += looked and bool((alpha > _HALF).any())
        with self._times.stage("encode"):
            self._writer.write(alpha)
        if rle is not None:
            with self._times.stage("score"):
                self._scorer.add(self._next, alpha, rle, frame)
        self._next += 1


def _absent(masklet: Masklet) -> int:
    """Annotated frames on which the object is not seen."""
    frames = len(masklet.rles) if masklet.annotated is None else sum(masklet.annotated)
    return frames - sum(masklet.visible)
