"""What tests share: tiny real clips in the layouts that sources read, and fakes for the seams.

A clip is 64 x 48 pixels and a few frames, so that a test renders what it needs in milliseconds.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco

from mav_pipeline.build.record import Progress
from mav_pipeline.build.shard import ShardBuilder
from mav_pipeline.cli import load_config
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.manifest import encode_rows
from mav_pipeline.dataset.plan_file import to_table
from mav_pipeline.dataset.sample import alpha_frames, check_sample, masks_in, read_document
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.media.masks import at_size, decode_rle, encode_rle
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.media.sizing import SizeRule, source_size
from mav_pipeline.planning.plan import make_plan
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.workers import Outcome, PoolState, patient_output
from mav_pipeline.schema import (
    FORMAT,
    STAGES,
    Alpha,
    BackendFacts,
    Clip,
    ClipMeasure,
    ClipRef,
    DataFile,
    FileRef,
    Frame,
    Frames,
    LoadedClip,
    Mask,
    Masklet,
    Masks,
    Matte,
    MatteFailure,
    Members,
    Plan,
    Rle,
    Seams,
    ShardReceipt,
    Stamp,
    read_content,
)
from mav_pipeline.schema.document import SampleDocument
from mav_pipeline.schema.errors import ShardError
from mav_pipeline.schema.interfaces import Discovery, MattingBackend, Sizing, Source
from mav_pipeline.schema.reasons import Reason
from mav_pipeline.sources.registry import SOURCES, open_source
from mav_pipeline.storage import LocalStorage, Output, Storage

HEIGHT, WIDTH, STEP = 48, 64, 4
NATIVE = SizeRule(mode="native", max_pixels=1, width=1, height=1)

# configuration


@functools.lru_cache
def _defaults(source: str, matting: str) -> dict[str, Any]:
    return load_config([f"source={source}", f"matting={matting}"]).to_mapping()


def config(overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """The defaults of ``conf/`` with dotted keys replaced, without Hydra's time."""
    overrides = overrides or {}
    names = (overrides.get("source.name", "sav_train"), overrides.get("matting.name", "binary"))
    data = copy.deepcopy(_defaults(*names))
    for key, value in overrides.items():
        *groups, name = key.split(".")
        functools.reduce(lambda place, group: place[group], groups, data)[name] = value
    return RunConfig.from_mapping(data, sources=SOURCES, backends=BACKENDS)


# pictures and masks


def moving_box(
    frames: int,
    *,
    top: int = 8,
    left: int = 4,
    side: int = 20,
    shape: tuple[int, int] | None = None,
) -> Masks:
    """(frames, H, W) masks of a square that moves to the right by a pixel a frame."""
    masks = np.zeros((frames, *(shape or (HEIGHT, WIDTH))), np.bool_)
    for index, mask in enumerate(masks):
        mask[top : top + side, left + index : left + index + side] = True
    return masks


def level(index: int) -> int:
    """The gray of video frame ``index``: tells decoded frames apart."""
    return 20 + 9 * index % 200


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> Frames:
    """(count, H, W, 3) plain gray frames, frame i of ``level(i)``."""
    frames = np.empty((count, height, width, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[:] = level(index)
    return frames


def encode_mp4(frames: Frames, *, rate: int = 24) -> bytes:
    """An H.264 mp4 of (T, H, W, 3) RGB frames; sides must be even."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": "8", "threads": "1"}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def png(labels: np.ndarray[Any, Any], *, palette: bool = False) -> bytes:
    """An annotation PNG of (H, W) labels: gray, or with a palette; or of (H, W, 3) colours."""
    image = Image.fromarray(labels)
    if palette:
        image = Image.frombytes("P", image.size, labels.tobytes())
        image.putpalette([value for label in range(256) for value in (label, 255 - label, 7)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture: np.ndarray[Any, Any]) -> bytes:
    """A JPEG of (H, W, 3) RGB."""
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))
    assert ok
    return data.tobytes()


# the layouts that sources read


def rle(mask: Mask) -> dict[str, Any]:
    """A mask in SA-V's json form; one of zeros is an RLE too."""
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return {"size": list(mask.shape), "counts": counts.decode()}


def sav_json(
    video_id: str, objects: Mapping[int, Sequence[Any]], *, shape: tuple[int, int] | None = None
) -> dict[str, Any]:
    """An SA-V annotation; ``objects`` maps ids to masks, or whatever shall stand in their place."""
    height, width = shape or (HEIGHT, WIDTH)
    columns = [
        [rle(mask) if isinstance(mask, np.ndarray) else mask for mask in masks]
        for masks in objects.values()
    ]
    return {
        "video_id": video_id,
        "video_height": float(height),
        "video_width": float(width),
        "video_environment": "Indoor",
        "masklet": [list(row) for row in zip(*columns, strict=True)],
        "masklet_id": list(objects),
        "masklet_size_bucket": ["medium"] * len(objects),
        "masklet_num": len(objects),
    }


def write(path: Path, data: bytes | str | dict[str, Any]) -> Path:
    """Writes a file with its folders; a dict as json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def write_clip(
    folder: Path,
    video_id: str,
    objects: Mapping[int, Sequence[Any]] | None = None,
    *,
    kind: str = "manual",
    video_frames: int | None = None,
) -> Path:
    """A clip of SA-V train: a real mp4 unless there is one already, and one annotation of it.

    Args:
        objects: masks by object id; by default one box on 3 annotated frames.
        video_frames: by default as many as the masks need, none to spare.

    Returns:
        The mp4; the json lies beside it.
    """
    objects = {0: moving_box(3)} if objects is None else objects
    annotated = len(next(iter(objects.values())))
    first = next((m for m in next(iter(objects.values())) if isinstance(m, np.ndarray)), None)
    height, width = (HEIGHT, WIDTH) if first is None else first.shape
    video = folder / f"{video_id}.mp4"
    if not video.exists():
        count = (annotated - 1) * STEP + 1 if video_frames is None else video_frames
        write(video, encode_mp4(pictures(count, height, width)))
    document = sav_json(video_id, objects, shape=(height, width))
    write(folder / f"{video_id}_{kind}.json", document)
    return video


def file_ref(root: Path, path: Path, role: str) -> FileRef:
    """The reference that a plan would hold of a loose file."""
    stat = path.stat()
    uri = path.relative_to(root).as_posix()
    return FileRef(role, uri, 0, stat.st_size, str(stat.st_mtime_ns), uri)


# clips in memory


def memory_clip(
    objects: Mapping[int, Masks] | None = None, *, video_id: str = "sav_000001", fps: float = 24.0
) -> Clip:
    """A decoded clip at source size; by default one box on 3 frames."""
    objects = {0: moving_box(3)} if objects is None else objects
    count, height, width = next(iter(objects.values())).shape
    masklets = tuple(
        Masklet(f"manual_{number:03d}", number, "manual", tuple(encode_rle(m) for m in masks))
        for number, masks in objects.items()
    )
    return Clip(
        video_id=video_id,
        width=width,
        height=height,
        fps=fps,
        frame_indices=tuple(range(0, STEP * count, STEP)),
        environment="Indoor",
        masklets=masklets,
        size=source_size(height, width),
    )


@dataclass(frozen=True, slots=True)
class DecodedMasklet:
    """A masklet read back whole: (T, H, W) alpha, and its masks as run lengths."""

    name: str
    kind: str
    status: str
    alpha: Alpha
    rles: tuple[Rle | None, ...]


def decode_sample(members: Members) -> tuple[SampleDocument, list[DecodedMasklet]]:
    """The json and the masklets of one small sample, checked against each other."""
    document = read_document(members)
    check_sample(document, members)
    decoded = [
        DecodedMasklet(
            entry.name,
            entry.kind,
            entry.status,
            np.stack([*alpha_frames(members, entry.name, document.frame_indices)]),
            tuple(masks_in(document, entry)),
        )
        for entry in document.masklets
    ]
    return document, decoded


def masks_of(masklet: DecodedMasklet) -> Masks:
    """(T, H, W) bool masks of a decoded masklet; all False where it is invisible."""
    empty = np.zeros(masklet.alpha.shape[1:], np.bool_)
    return np.stack([empty if rle is None else decode_rle(rle) for rle in masklet.rles])


def stored_rgb(loaded: LoadedClip) -> dict[str, bytes]:
    """What a sample of the clip stores as RGB, once all its frames were taken."""
    for _ in loaded.frames:
        pass
    return {name: read_content(content) for name, content in loaded.rgb()}


def frames_of(clip: Clip) -> Frames:
    """(T, H, W, 3) plain gray frames for a clip in memory."""
    return pictures(len(clip.frame_indices), clip.height, clip.width)


# extension points


class FakeBackend:
    """Alpha is the mask at working size, in blocks of 2 frames; opaque all over in gaps.

    Args:
        errors: raised for the clips named, after their first block.
        failures: reasons why masklets of these names fail, after their first block.
        watch: called with each clip's id before its first block.
        shift: how many pixels the alpha lies right of the mask; a large one fails the gates.
    """

    def __init__(
        self,
        *,
        multiple: int = 32,
        errors: Mapping[str, Exception] | None = None,
        failures: Mapping[str, str] | None = None,
        watch: Callable[[str], None] = lambda _: None,
        shift: int = 0,
    ) -> None:
        self._failures = failures or {}
        self.multiple, self._errors, self._watch, self._shift = multiple, errors or {}, watch, shift
        self.ready = self.closed = False
        self.seen: list[str] = []

    def identity(self) -> dict[str, str]:
        return {}

    def setup(self) -> None:
        self.ready = True

    def settings(self) -> dict[str, str]:
        return {}

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        assert clip.size.pad_height % self.multiple == clip.size.pad_width % self.multiple == 0
        self.seen.append(clip.video_id)
        self._watch(clip.video_id)
        for masklet in masklets:
            shown = [index for index, seen in enumerate(masklet.visible) if seen]
            for first in range(shown[0], shown[-1] + 1, 2):
                rles = masklet.rles[first : min(first + 2, shown[-1] + 1)]
                alpha = np.zeros((len(rles), clip.size.pad_height, clip.size.pad_width), np.uint8)
                for frame, mask in zip(alpha, rles, strict=True):
                    if mask is None:
                        frame[:] = 255
                    else:
                        shifted = np.roll(decode_rle(mask), self._shift, axis=1)
                        frame[at_size(shifted, clip.size)] = 255
                yield Matte(masklet, first, alpha, clip.size)
                if clip.video_id in self._errors:
                    raise self._errors[clip.video_id]
                if masklet.name in self._failures:
                    yield MatteFailure(masklet, self._failures[masklet.name], "it was seen")
                    break

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ("fake",)

    def close(self) -> None:
        self.closed = True


def mattes(
    backend: MattingBackend, loaded: LoadedClip, masklets: Sequence[Masklet]
) -> list[Matte | MatteFailure]:
    """All that a backend yields of a clip."""
    return [*backend.matte(loaded.clip, iter(loaded.frames), masklets)]


class FailingSource:
    """A real source, but ``load`` raises for the clips named."""

    def __init__(self, source: Source, errors: Mapping[str, BaseException]) -> None:
        self._source, self._errors = source, errors

    def discover(self, plan: Plan | None = None) -> Discovery:
        return self._source.discover(plan)

    def measure(self, ref: ClipRef) -> ClipMeasure:
        return self._source.measure(ref)

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        if ref.video_id in self._errors:
            raise self._errors[ref.video_id]
        return self._source.load(ref, sizing)


class FakePool:
    """Ends tasks as a script says, the oldest first.

    Args:
        script: what comes of a shard's attempts, in turn; a receipt where it says nothing more.
        room: tasks at a time.
        output: where receipts go; None where they are to be seen nowhere.
    """

    def __init__(
        self,
        script: Mapping[str, Sequence[ShardError]] | None = None,
        *,
        room: int = 2,
        output: Storage | None = None,
    ) -> None:
        self._script, self._room, self.output = script or {}, room, output
        self._running: deque[Task] = deque()
        self._ended: Counter[str] = Counter()
        self.attempts: list[tuple[str, int]] = []

    def start(self, check: Callable[[], None]) -> BackendFacts:
        return BackendFacts()

    def begin(self, config: RunConfig, stamp: Stamp) -> None: ...

    def has_room(self, outstanding: int) -> bool:
        return len(self._running) < self._room

    def submit(self, task: Task) -> None:
        assert self.has_room(1)
        self._running.append(task)
        self.attempts.append((task.spec.name, task.attempt))

    def wait(self, timeout_s: float) -> list[Outcome]:
        if not self._running:
            return []
        task = self._running.popleft()
        endings = self._script.get(task.spec.name, ())
        count = self._ended[task.spec.name]
        self._ended[task.spec.name] += 1
        if count < len(endings):
            return [Outcome(task, endings[count])]
        published = receipt(task.spec.name)
        if self.output is not None:
            data = json.dumps(published.to_json()).encode()
            self.output.put(layout.receipt(task.spec.name), data)
        return [Outcome(task, published)]

    def state(self) -> PoolState:
        return PoolState(Progress(), working=1)

    def close(self) -> None: ...


class FakeStop(threading.Event):
    """Waits no time at all, and remembers how long it was to wait: a clock that waiting moves."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()

    def now(self) -> float:
        return sum(self.waits)


# sets


def receipt(shard: str = "mav-000000", **changes: Any) -> ShardReceipt:
    """A receipt of one clip with one accepted masklet on 3 frames."""
    values: dict[str, Any] = {
        "shard": shard,
        "fingerprint": "f" * 64,
        "tar": DataFile(f"{shard}-{'a' * 16}.tar", 10, "a" * 64),
        "manifest": DataFile(f"{shard}-{'b' * 16}.parquet", 20, "b" * 64),
        "clips": {"planned": 1, "published": 1, "failed": 0, "skipped": 0, "samples": 1},
        "masklets": {"accepted": 1, "rejected": 0, "skipped": 0, "failed": 0},
        "frames": 3,
        "stages_s": dict.fromkeys(STAGES, 0.25),
        "worker": {"host": "here", "pid": 1},
        "code_version": "0",
        "attempts": 1,
        "published_at": "2026-01-01T00:00:00+00:00",
    }
    return ShardReceipt(**{**values, **changes})


STAMP = Stamp(FORMAT, "f" * 64)


def open_builder(
    run: RunConfig,
    *,
    backend: MattingBackend | None = None,
    source: Source | None = None,
    output: Output | None = None,
) -> contextlib.closing[ShardBuilder]:
    """A shard builder over real files with a fake backend, closed at the end of a ``with``."""
    builder = ShardBuilder(
        config=run,
        source=source or open_source(run),
        backend=backend or FakeBackend(),
        output=output or patient_output(run),
        reasons=[
            Reason(slug, "backend", "a test's", "none") for slug in ("solver", "device", "test")
        ],
    )
    builder.setup()
    return contextlib.closing(builder)


def build_set(run: RunConfig, backend: MattingBackend | None = None) -> BuiltSet:
    """Plans and builds all shards of a set, without its final files."""
    begun = prepare(run, writes=True).begin()
    with open_builder(run, backend=backend) as builder:
        for shard in begun.built.shards:
            builder.build(shard, begun.stamp)
    return begun.built


def listed_set(root: Path, rows: Sequence[dict[str, Any]]) -> BuiltSet:
    """A set of one shard that has rows, a receipt and no tar: for what reads rows alone."""
    output, name = LocalStorage(root), "mav-000000"
    planned = make_plan([ClipRef("clip", (), None)], 1, {})
    run = replace(config(), quality=config().quality.resolved())
    about = {"format": FORMAT, "fingerprint": "f" * 64, "keys": {}, "config": run.to_mapping()}
    output.put(layout.RUN, json.dumps(about).encode())
    output.put(layout.PLAN, encode_table(to_table(planned)))
    published = receipt(name)
    output.put(layout.data(published.manifest.name), encode_rows(rows, FORMAT))
    output.put(layout.receipt(name), json.dumps(published.to_json()).encode())
    return BuiltSet.open(output)
