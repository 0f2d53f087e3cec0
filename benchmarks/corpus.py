"""Clips to measure on: the rendered sample at 720p, and cheap large ones for memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np

from mav_pipeline.cli import load_config
from mav_pipeline.config import RunConfig
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.synthetic import render


def config(*overrides: str) -> RunConfig:
    """A configuration from ``conf/``; what a gate rejects is stored, so that it moves no rate."""
    return load_config(("quality.keep_rejected=true", *overrides))


def sample(root: Path, clips: int, width: int = 1280, height: int = 720) -> Path:
    """``clips`` rendered clips with 60 annotated frames; returns the source root.

    Without fine structure, so that times stay comparable to those of earlier versions.
    """
    kinds = "sample.kinds=[hairy,soft,sheer,blurred]"
    sides = f"sample.width={width}", f"sample.height={height}"
    settings = (*sides, "sample.frames=240", kinds)
    if not (root / "alpha_gt").is_dir():
        render(root, config(f"sample.clips={clips}", *settings).sample)
    return root / "sav_train"


def with_key_frames(source: Path, root: Path, every: int) -> Path:
    """The clips of ``source`` encoded again, a key frame every ``every`` frames; the same masks."""
    if root.is_dir():
        return root
    final, root = root, root.with_name(f"{root.name}.part")
    for path in source.rglob("*"):
        target = root / path.relative_to(source)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            shutil.copy(path, target)
        elif path.suffix == ".mp4":
            with av.open(str(path)) as old, av.open(str(target), "w") as new:
                video = old.streams.video[0]
                options = {"preset": "fast", "crf": "20", "g": str(every), "keyint_min": str(every)}
                stream = new.add_stream("libx264", rate=video.average_rate, options=options)
                stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
                for index, frame in enumerate(old.decode(video)):
                    picture = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"))
                    picture.pts, picture.time_base = index, 1 / stream.average_rate
                    new.mux(stream.encode(picture))
                new.mux(stream.encode(None))
    root.rename(final)
    return final


def large(root: Path, width: int, height: int, masklets: int, clips: int = 3) -> Path:
    """``clips`` clips of 20 s with ``masklets`` moving ellipses each; noise under them."""
    folder = root / f"{width}x{height}-{masklets}"
    if folder.is_dir():
        return folder
    final, folder = folder, folder.with_name(f"{folder.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    # Coarse, so that the video has a camera's bit rate and not that of noise.
    coarse = np.random.default_rng(0).integers(0, 255, (height // 12, width // 12, 3), np.uint8)
    noise = cv2.resize(coarse, (width + 64, height + 64), interpolation=cv2.INTER_CUBIC)
    frames = [
        [_rle(index, column, width, height) for column in range(masklets)] for index in range(120)
    ]
    _encode(folder / "sav_000000.mp4", noise, width, height)
    video = (folder / "sav_000000.mp4").read_bytes()
    for number in range(clips):
        video_id = f"sav_{number:06d}"
        (folder / f"{video_id}.mp4").write_bytes(video)
        document = {
            "video_id": video_id,
            "video_height": float(height),
            "video_width": float(width),
            "masklet": frames,
            "masklet_id": list(range(masklets)),
        }
        (folder / f"{video_id}_manual.json").write_text(json.dumps(document))
    folder.rename(final)
    return final


def _encode(path: Path, noise: np.ndarray, width: int, height: int) -> None:
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "30"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(480):
            y, x = index % 64, (2 * index) % 64
            view = np.ascontiguousarray(noise[y : y + height, x : x + width])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _rle(index: int, column: int, width: int, height: int) -> dict[str, object]:
    y, x = np.ogrid[:height, :width]
    cy = height * (0.3 + 0.4 * ((column * 7 + index) % 40) / 40)
    cx = width * (0.2 + 0.6 * ((column * 11 + index) % 60) / 60)
    rle = encode_rle(((y - cy) / (height * 0.15)) ** 2 + ((x - cx) / (width * 0.1)) ** 2 < 1)
    assert rle is not None
    return {"size": [height, width], "counts": rle.counts.decode()}
