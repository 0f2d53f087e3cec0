"""SA-V train: ``{id}.mp4`` with ``{id}_manual.json`` and ``{id}_auto.json``, however deep.

Format: the SA-V README of the SAM 2 repository. ``masklet[frame][object]`` is a COCO RLE, an
invisible object an all-zero one or null; annotated frame i is video frame ``frame_step`` x i;
counts are floats.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass as plain_dataclass
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import Rgb, SourceConfig
from mav_pipeline.config.types import STRICT, Count
from mav_pipeline.media.masks import parse_rle
from mav_pipeline.media.video import annotated_frames, probe_video
from mav_pipeline.schema import (
    Clip,
    ClipMeasure,
    ClipRef,
    LoadedClip,
    Masklet,
    Member,
    Plan,
    Problem,
)
from mav_pipeline.schema.errors import InputError, in_words
from mav_pipeline.schema.interfaces import Discovery, Sizing
from mav_pipeline.sources import sav, sav_layouts
from mav_pipeline.sources.endings import VideoNames, kind_of
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.sources.listing import (
    Found,
    Listing,
    Tear,
    guard_bytes,
    guard_frames,
    guard_pixels,
    list_source,
    screened,
    torn,
    with_torn,
)
from mav_pipeline.sources.rgb import RgbImages
from mav_pipeline.storage import Storage, fetch_ref, read_ref

_SUFFIXES = {".mp4": "video", "_manual.json": "manual", "_auto.json": "auto"}


@plain_dataclass(frozen=True, slots=True)
class _Annotation:
    """One checked json: ``frames[i][j]`` is the unparsed RLE of object ``ids[j]`` on frame i."""

    role: str
    frames: list[list[Any]]
    ids: list[int]
    buckets: list[str | None]
    height: int | None
    width: int | None
    environment: str | None

    def size(self) -> tuple[int, int]:
        """Height and width of the video, as the json says or else its first mask; or zeros."""
        if self.height and self.width:
            return self.height, self.width
        rle: Any = next((rle for frame in self.frames for rle in frame if rle), {})
        try:
            height, width = (int(side) for side in rle["size"])
        except (TypeError, KeyError, ValueError, OverflowError):
            return 0, 0
        return height, width


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SavTrainConfig(SourceConfig):
    """Annotated frame i is video frame i x ``frame_step``; see ``SourceConfig`` for the rest."""

    masklets: Literal["manual", "auto", "both"]
    frame_step: Count


class SavTrain:
    """The ``sav_train`` source."""

    def __init__(self, storage: Storage, config: SavTrainConfig, rgb: Rgb) -> None:
        self._storage, self._config, self._rgb = storage, config, rgb
        both = config.masklets == "both"
        self._kinds = ("manual", "auto") if both else (config.masklets,)

    def discover(self, plan: Plan | None = None) -> Discovery:
        """Every video, and every annotation without one; see ``Source.discover``."""
        listing = list_source(self._storage, plan)
        found, videos = self._sorted(listing), VideoNames(listing.files)
        clips = [
            self._ref(video_id, files, listing.tears.get(next(iter(files.values())).uri), videos)
            for (video_id, _), files in sorted(found.items())
        ]
        return Discovery(with_torn(clips, listing), listing.tars, listing.passing.result())

    def _sorted(self, listing: Listing) -> dict[tuple[str, str], dict[str, Found]]:
        """The files of each clip by their role, by its id and folder."""
        clips: dict[tuple[str, str], dict[str, Found]] = {}
        for file in listing.files:
            folder, _, name = file.path.rpartition("/")
            suffix = next((end for end in _SUFFIXES if _ends(name, end)), None)
            if suffix is None:
                listing.passing.add(kind_of(name), file.path)
                continue
            files, role = clips.setdefault((name[: -len(suffix)], folder), {}), _SUFFIXES[suffix]
            if role in files:  # as .MP4 and as .mp4: the latter counts
                listing.passing.add("twice", min(file.path, files[role].path))
            if role not in ("video", *self._kinds):
                listing.passing.add("not_asked", file.path)
            files[role] = max(file, files.get(role, file), key=lambda found: found.name)
        return clips

    def _ref(
        self, video_id: str, files: dict[str, Found], tear: Tear | None, videos: VideoNames
    ) -> ClipRef:
        roles = ("video", *self._kinds)
        wanted = [files[role].ref(role) for role in roles if role in files]
        problem = None
        # What a clip lacks in a damaged tar may lie behind the damage, wherever that is.
        if tear is not None and (
            len(wanted) < len(roles)
            or (tear.is_cut and any(ref.name == tear.last for ref in wanted))
        ):
            problem = torn(tear, f"{video_id} is not whole")
        elif "video" not in files:
            names = ", ".join(file.ref("").label for file in files.values())
            cause = f"plan of video: {names} lies without its mp4"
            if others := videos.beside(next(iter(files.values())), video_id):
                cause = f"plan of video: {names} lies beside {', '.join(others)}, and its video "
                cause += f"must be {video_id}.mp4: rename it, or have it rewrapped by ffmpeg"
            problem = Problem("failed", "no_video", cause)
        elif len(wanted) == 1:
            asked = " or ".join(f"{video_id}_{kind}.json" for kind in self._kinds)
            problem = Problem("skipped", "no_annotation", f"plan of masklets: there is no {asked}")
        refs = wanted or [file.ref(role) for role, file in files.items()]
        return ClipRef(video_id, tuple(refs), problem)

    def measure(self, ref: ClipRef) -> ClipMeasure:
        """See ``Source.measure``."""
        annotations, count = self._annotations(ref)
        height, width = annotations[0].size()
        guard_pixels(height, width, self._config, annotations[0].role)
        masklets = [m for a in annotations for m in self._masklets(a, height, width, count)]
        good = [masklet for masklet in masklets if masklet.problem is None]
        return ClipMeasure(
            masklets=len(good),
            frames=-(-count // self._config.stride),
            alpha_frames=sum(sum(masklet.visible) for masklet in good),
            pixels=height * width,
            turned_away=Counter(m.problem.reason for m in masklets if m.problem is not None),
        )

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        """See ``Source.load``."""
        annotations, count = self._annotations(ref)
        content = fetch_ref(self._storage, ref.role("video")[0])
        video = probe_video(
            content,
            step=self._config.frame_step,
            annotated=count,
            max_pixels=self._config.max_pixels,
        )
        height, width, count = video.height, video.width, len(video.indices)
        masklets = [m for a in annotations for m in self._masklets(a, height, width, count)]
        video = video.thinned(self._config.stride)
        clip = Clip(
            video_id=ref.video_id,
            width=width,
            height=height,
            fps=video.fps,
            frame_indices=video.indices,
            environment=annotations[0].environment,
            masklets=tuple(masklets),
            size=sizing(height, width),
        )
        if self._rgb == "jpeg":
            images = RgbImages()
            frames = annotated_frames(content, video, clip.size, jpeg=images.add)
            return LoadedClip(clip, frames, images.members)
        stored: tuple[Member, ...] = (("rgb.mp4", content),) if self._rgb == "source" else ()
        return LoadedClip(clip, annotated_frames(content, video, clip.size), lambda: stored)

    def _annotations(self, ref: ClipRef) -> tuple[list[_Annotation], int]:
        """The asked jsons of a clip, and how many frames they annotate."""
        guard_bytes(ref.files, self._config)
        annotations = [
            _parse(read_ref(self._storage, file), file.role)
            for kind in self._kinds
            for file in ref.role(kind)
        ]
        lengths = [len(annotation.frames) for annotation in annotations]
        if max(lengths) - min(lengths) > 1:
            cause = f"the jsons annotate {' and '.join(map(str, lengths))} frames"
            raise InputError("frame_count", cause, role="auto", stage="masks")
        taken = -(-min(lengths) // self._config.stride)
        guard_frames(taken, self._config, annotations[0].role)
        return annotations, min(lengths)

    def _masklets(
        self, annotation: _Annotation, height: int, width: int, count: int
    ) -> list[Masklet]:
        """The masklets on those of the first ``count`` annotated frames that are taken."""
        said = (annotation.height or height, annotation.width or width)
        if said != (height, width):
            cause = f"the json says {said[1]}x{said[0]}, the video is {width}x{height}"
            raise InputError("frame_size", cause, role=annotation.role, stage="masks")
        masklets, stride = [], self._config.stride
        frames = annotation.frames[:count:stride]
        for column, (number, bucket) in enumerate(
            zip(annotation.ids, annotation.buckets, strict=True)
        ):
            name, problem, rles = f"{annotation.role}_{number:03d}", None, []
            try:
                for frame in frames:
                    rle = parse_rle(frame[column], height, width, role=annotation.role)
                    rles.append(rle)
            except InputError as error:
                message = f"{error} (annotated frame {len(rles) * stride})"
                rles = [None] * len(frames)
                problem = Problem("failed", error.reason, message)
            masklet = Masklet(name, number, annotation.role, tuple(rles), bucket, problem)
            masklets.append(screened(masklet, self._config))
        return masklets


def _ends(name: str, suffix: str) -> bool:
    """Whether a file's name ends so; a video's in any case."""
    return (name.lower() if suffix == ".mp4" else name).endswith(suffix)


def _parse(data: bytes, role: str) -> _Annotation:
    def bad(cause: str) -> InputError:
        return InputError("json", cause, role=role, stage="masks")

    try:
        root = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad(f"not a json file: {in_words(error)}") from error
    try:
        frames = root["masklet"]
        ids = [int(number) for number in root["masklet_id"]]
        buckets = list(root.get("masklet_size_bucket") or [None] * len(ids))
        sides = [root.get(key) for key in ("video_height", "video_width")]
        height, width = (None if side is None else int(side) for side in sides)
        environment = root.get("video_environment")
        ragged = next((i for i, frame in enumerate(frames) if len(frame) != len(ids)), None)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise bad(f"not in SA-V's form: {type(error).__name__}: {in_words(error)}") from error
    if not isinstance(frames, list) or not all(isinstance(frame, list) for frame in frames):
        raise bad("masklet must be a list of frames, each a list of masks")
    if ragged is not None:
        raise bad(f"frame {ragged} has {len(frames[ragged])} masks for {len(ids)} masklets")
    if len(set(ids)) != len(ids) or min(ids, default=0) < 0 or len(buckets) != len(ids):
        raise bad(f"masklet_id {ids} must be distinct, not negative, with one size bucket each")
    if not all(bucket is None or isinstance(bucket, str) for bucket in buckets):
        raise bad("masklet_size_bucket must hold texts")
    environment = environment if isinstance(environment, str) else None
    return _Annotation(role, frames, ids, buckets, height, width, environment)


KIND = SourceKind(
    name="sav_train",
    about="`{id}.mp4` beside `{id}_manual.json` / `{id}_auto.json` as in SA-V, in folders "
    "however deep",
    config=SavTrainConfig,
    revision=2,
    open=SavTrain,
    licence=sav.LICENCE,
    credit=sav.CREDIT,
    cites=sav.CITES,
    tags=sav.TAGS,
    layouts=sav_layouts.TRAIN,
)
