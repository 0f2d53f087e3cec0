"""Compares every stored masklet of a set with its truth, a frame at a time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.reader import StoredSample
from mav_pipeline.dataset.sample import read_document
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.evaluate.metrics import MetricSums
from mav_pipeline.evaluate.plot import draw
from mav_pipeline.evaluate.result import Evaluation, MaskletMetrics
from mav_pipeline.evaluate.strata import (
    UNKNOWN,
    Shape,
    motion_group,
    resolution_group,
    size_group,
)
from mav_pipeline.evaluate.truth import FrameFiles, Truth
from mav_pipeline.evaluate.unseen import as_csv, gather
from mav_pipeline.schema import Members
from mav_pipeline.schema.document import MaskletDocument
from mav_pipeline.schema.errors import TruthError

_log = logging.getLogger(__name__)

_NOT_IN_THE_SET = "the set does not have it"


def evaluate(built: BuiltSet, truth: Truth) -> Evaluation:
    """Compares a set with the truth; leaves metrics as csv and png and ``unseen.csv`` in it.

    Masklets are those that the shards hold: accepted ones, and rejected ones where they were kept.
    In memory are what the reader holds of one sample, and two frames with their truth, however
    long a clip is.

    Raises:
        OutputError: the set cannot be read.
    """
    storage, comparison = built.storage, _Comparison(truth)
    for shard, receipt in built.receipts().items():
        path = layout.data(receipt.tar.name)
        _log.info("comparing %s", path)
        try:
            for key, members in stored_samples(storage, path):
                comparison.sample(key, members)
        except (FileNotFoundError, ValueError) as error:
            comparison.problem("alpha_unreadable", shard, f"{path}: {error}")
    comparison.look_for_the_others(built)
    result = comparison.result
    storage.put(f"{layout.EVALUATION}/metrics.csv", result.csv())
    storage.put(f"{layout.EVALUATION}/unseen.csv", as_csv(result.unseen))
    storage.put(f"{layout.EVALUATION}/metrics.png", draw(result))
    return result


@dataclass(slots=True)
class _Comparison:
    truth: Truth
    result: Evaluation = field(default_factory=Evaluation)
    _met: set[tuple[str, str]] = field(default_factory=set)
    _stored: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.result.with_truth = len(self.truth.objects())

    def problem(self, kind: str, name: str, what: str) -> None:
        self.result.problems[kind][name] = what

    def sample(self, key: str, members: Members) -> None:
        """Compares the masklets of one sample."""
        try:
            sample = StoredSample(read_document(members), members)
            objects = [self.truth.layout.object_of(name) for name in sample.masklets]
        except ValueError as error:
            self.problem("alpha_unreadable", key, str(error))
            return
        self.result.stored += len(objects)
        self._stored += ((key, name) for name in sample.masklets)
        folders, claims = self.truth.folders(key), Counter(objects)
        self._met.update((folder, item) for folder in folders for item in objects)
        truth = self.truth.frames(folders[0]) if len(folders) == 1 else {}
        for masklet, item in zip(sample.document.masklets, objects, strict=True):
            name = f"{key}/{masklet.name}"
            if len(folders) > 1:
                what = f"it may be any of {', '.join(sorted(folders))}; name a folder further down"
                self.problem("truth_ambiguous", name, f"{what} as evaluate.root")
            elif item not in truth:
                self.problem("no_truth", name, "there is no truth for it")
            elif claims[item] > 1:
                what = f"{claims[item]} masklets of the clip stand for one object of the truth"
                self.problem("no_truth", name, what)
            else:
                try:
                    self._masklet(sample, masklet, truth[item])
                except TruthError as error:
                    self.problem(error.kind, name, error.what)
                except ValueError as error:
                    self.problem("alpha_unreadable", name, str(error))

    def _masklet(self, sample: StoredSample, masklet: MaskletDocument, files: FrameFiles) -> None:
        document = sample.document
        name, indices, size = f"{sample.key}/{masklet.name}", document.frame_indices, document.shape
        metrics, shape, blank = MetricSums(), Shape(), True
        frames = sample.alpha(masklet.name)
        looked = masklet.annotated  # elsewhere no alpha was made, whatever the truth is
        for place, (index, alpha) in enumerate(zip(indices, frames, strict=True)):
            if looked[place] and (path := files.path(index)) is not None:
                truth = self.truth.read(path, size)
                metrics.add(place, alpha, truth)
                shape.add(place, truth)
                blank = blank and not alpha.any()
        if missing := sum(looked) - metrics.frames:
            self.problem("frames_missing", name, f"{missing} of {sum(looked)} have no truth")
        if metrics.frames and not shape.frames:
            self.problem("empty_truth", name, f"0 on all of {metrics.frames} frames")
        if not shape.frames:
            return
        if blank:
            self.problem("empty_alpha", name, f"0 on all of {metrics.frames} frames")
        groups = {
            "status": masklet.status,
            "environment": document.environment or UNKNOWN,
            "size": size_group(shape.area),
            "motion": motion_group(shape.motion),
            "resolution": resolution_group(*size),
        }
        compared = MaskletMetrics(
            video_id=sample.key,
            masklet=masklet.name,
            width=size[1],
            height=size[0],
            missing_frames=missing,
            truth_frames=len(files),
            truth_area=shape.area,
            truth_motion=shape.motion,
            truth_mass=shape.mass,
            groups=groups,
            metrics=metrics.finish(),
        )
        self.result.masklets.append(compared)

    def look_for_the_others(self, built: BuiltSet) -> None:
        """Names the truth whose masklet no shard holds, and counts all that was not compared."""
        columns = ("key", "masklet", "status", "reasons")
        rows = built.rows().select(columns).to_pylist()
        fates: dict[tuple[str, str | None], str] = {}  # None: the clip as a whole
        for row in rows:
            item = row["masklet"] and self.truth.layout.object_of(row["masklet"])
            fate = " ".join((row["status"], *row["reasons"]))
            fates.update(((folder, item), fate) for folder in self.truth.folders(row["key"]))
        objects, left = self.truth.objects(), 0
        for folder, item in sorted(objects - self._met):
            became = fates.get((folder, item)) or fates.get((folder, None))
            left += became is None
            self.problem("not_stored", f"{folder}/{item}".rstrip("/"), became or _NOT_IN_THE_SET)
        self.result.unseen = gather(
            rows,
            compared={(m.video_id, m.masklet) for m in self.result.masklets},
            stored={item: self._trouble(*item) for item in self._stored},
            truths=partial(self._truths, objects, Counter(folder for folder, _ in objects)),
            left=left,
        )

    def _trouble(self, key: str, masklet: str) -> str:
        """The kind of problem that keeps a stored masklet from being compared."""
        found = (k for k, names in self.result.problems.items() if f"{key}/{masklet}" in names)
        return next(found, "")

    def _truths(
        self,
        objects: Collection[tuple[str, str]],
        of_clips: Mapping[str, int],
        key: str,
        masklet: str | None,
    ) -> int:
        """How many objects with truth a masklet may be, or a clip has."""
        folders = self.truth.folders(key)
        if masklet is None:
            return sum(of_clips[folder] for folder in folders)
        item = self.truth.layout.object_of(masklet)
        return sum((folder, item) in objects for folder in folders)
