"""Clips to measure on: the rendered sample at 720p, and cheap large ones for memory."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np

from mav_pipeline.cli import load_config
from mav_pipeline.config import RunConfig
from mav_pipeline.masks import encode_rle
from mav_pipeline.sources.sample import render


def config(*overrides: str) -> RunConfig:
    """A configuration from ``conf/``."""
    return load_config(overrides)


def sample(root: Path, clips: int, width: int = 1280, height: int = 720) -> Path:
    """``clips`` rendered clips with 60 annotated frames; returns the source root."""
    settings = (f"sample.width={width}", f"sample.height={height}", "sample.frames=240")
    if not (root / "alpha_gt").is_dir():
        render(root, config(f"sample.clips={clips}", *settings).sample)
    return root / "sav_train"


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
