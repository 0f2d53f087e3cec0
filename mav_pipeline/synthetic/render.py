"""Writes the sample corpus: videos, annotations, true alphas."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from mav_pipeline.config import SampleConfig
from mav_pipeline.media.encode import VideoEncoder
from mav_pipeline.media.images import encode_png
from mav_pipeline.schema import AlphaFrame
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import LocalStorage
from mav_pipeline.synthetic.annotate import Drawing, annotation, draw, follow
from mav_pipeline.synthetic.compose import Composed, compose
from mav_pipeline.synthetic.photographs import NONE, Photographs
from mav_pipeline.synthetic.plan import plan_clip
from mav_pipeline.synthetic.scene import FPS, ClipPlan
from mav_pipeline.synthetic.texture import Plane

FOLDER = "sav_train/sav_000"
TRUTH = "alpha_gt"
AUTO = 2  # objects that are annotated a second time, as a tracker would
CRF = 14  # near transparent, so that the truth is still the truth of the decoded pixels


def render(root: Path, config: SampleConfig, photographs: Photographs = NONE) -> list[str]:
    """Renders the corpus below ``root`` and returns its video ids.

    The same settings give the same bytes, on one kind of machine with one set of versions; files
    that hold them already are left alone.

    Args:
        root: folder; made where there is none. ``config.root`` is not looked at.
        photographs: what objects and grounds are made of, in place of paint.

    Raises:
        OutputError: ``root`` holds something else, or cannot be written.
    """
    _refuse_foreign(root)
    storage = LocalStorage(root)
    try:
        plans = (plan_clip(config, index) for index in range(config.clips))
        return [_render_clip(storage, plan, photographs) for plan in plans]
    except OSError as error:
        raise OutputError(
            f"sample.root={root} cannot be written ({error.strerror or error}); "
            "free or choose another folder"
        ) from error


def _refuse_foreign(root: Path) -> None:
    if root.is_dir():
        if any((root / name).exists() for name in ("sav_train", TRUTH)) or not any(root.iterdir()):
            return
        what = "a folder that holds other files than a sample corpus"
    elif root.exists():
        what = "not a folder"
    else:
        return
    raise OutputError(
        f"sample.root={root} is {what}; name a new or empty folder, or empty this one"
    )


def _render_clip(storage: LocalStorage, plan: ClipPlan, photographs: Photographs) -> str:
    buffer = io.BytesIO()
    video = VideoEncoder(plan.height, plan.width, FPS, CRF, buffer)
    manual, auto = [], []
    names = [f"manual_{i:03d}" for i in range(len(plan.objects) + plan.with_empty)]
    for number, composed in enumerate(compose(plan, photographs)):
        video.write(composed.rgb)
        if number not in plan.annotated:
            continue
        alphas = [_to_8_bit(alpha) for alpha in composed.alphas]
        drawn = _by_hand(plan, composed)
        if plan.with_empty:
            alphas.append(np.zeros_like(alphas[0]))
            drawn.append(draw(np.zeros_like(composed.covers[0]), plan.unit, careful=True))
        manual.append(drawn)
        auto.append([draw(cover, plan.unit, careful=False) for cover in composed.covers[:AUTO]])
        truth = [*zip(names, alphas, strict=True)]
        truth += [(f"auto_{i:03d}", alpha) for i, alpha in enumerate(alphas[:AUTO])]
        for name, alpha in truth:
            file = f"{TRUTH}/{plan.video_id}/{name}/{number:05d}.png"
            _put(storage, file, encode_png(alpha))
    video.close()
    _put(storage, f"{FOLDER}/{plan.video_id}.mp4", buffer.getvalue())
    for content in (annotation(plan, "manual", manual), annotation(plan, "auto", auto)):
        file = f"{FOLDER}/{plan.video_id}_{content['masklet_type'][0]}.json"
        _put(storage, file, json.dumps(content).encode())
    return plan.video_id


def _by_hand(plan: ClipPlan, composed: Composed) -> list[Drawing]:
    """What a person draws of each object of a frame."""
    seen = zip(plan.objects, composed.alphas, composed.covers, strict=True)
    return [
        follow(alpha, cover, plan.unit) if thing.faithful else draw(cover, plan.unit, careful=True)
        for thing, alpha, cover in seen
    ]


def _put(storage: LocalStorage, name: str, data: bytes) -> None:
    """Writes what is not there already: a build on an input with another time would be refused."""
    if storage.size(name) != len(data) or storage.read(name) != data:
        storage.put(name, data)


def _to_8_bit(alpha: Plane) -> AlphaFrame:
    return (np.clip(alpha, 0, 1) * 255 + 0.5).astype(np.uint8)
