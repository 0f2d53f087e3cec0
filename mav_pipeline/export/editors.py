"""For compositing: the object's own colours with straight alpha, or alpha alone.

Straight: colours are not multiplied by alpha, and where alpha is 0 they are a guess that no
composite shows. Unmixed from what lies behind the object (``media.foreground``). Where the object
is not seen at all the frame is black and transparent.

16 bits hold the stored value x 257: 255 becomes 65535, and nothing else is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.export.clip import File, StoredClip
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.media.foreground import foreground
from mav_pipeline.media.images import encode_png
from mav_pipeline.media.prores import ColourProRes, GrayProRes
from mav_pipeline.schema import AlphaFrame, Frame
from mav_pipeline.schema.about import about_name
from mav_pipeline.storage import Spool

_LEVEL = [cv2.IMWRITE_PNG_COMPRESSION, 3]

Writer = Callable[[StoredClip], Iterator[File]]


def rgba_prores(clip: StoredClip) -> Iterator[File]:
    """A file a masklet: ProRes 4444."""
    for masklet in clip.picked:
        spool = Spool()
        encoder = ColourProRes(*clip.document.shape, clip.rate, spool.file)
        for colours, alpha in _cut_out(clip, masklet):
            encoder.write(colours, alpha)
        encoder.close()
        yield f"rgba/{clip.key}/{masklet}.mov", spool.blob()
    yield _about(clip)


def rgba_png(clip: StoredClip, deep: bool = False) -> Iterator[File]:
    """A PNG a frame, of 8 bits a channel, or 16 where it is ``deep``."""
    for masklet in clip.picked:
        for number, picture in zip(clip.indices, _cut_out(clip, masklet), strict=True):
            bgra = np.dstack([picture[0][..., ::-1], picture[1]])
            yield f"rgba/{clip.key}/{masklet}/{number:05d}.png", _png(_deep(bgra) if deep else bgra)
    yield _about(clip)


def rgba_png16(clip: StoredClip) -> Iterator[File]:
    """As ``rgba_png``, of 16 bits."""
    return rgba_png(clip, deep=True)


def alpha_ffv1(clip: StoredClip) -> Iterator[File]:
    """A file a masklet: FFV1, 8-bit gray, lossless."""
    return _alpha_videos(clip, AlphaEncoder, "mkv")


def alpha_prores(clip: StoredClip) -> Iterator[File]:
    """A file a masklet: ProRes 422 HQ, gray."""
    return _alpha_videos(clip, GrayProRes, "mov")


def alpha_png(clip: StoredClip) -> Iterator[File]:
    """A PNG a frame, 8-bit gray."""
    return _alpha_images(clip, encode_png)


def alpha_png16(clip: StoredClip) -> Iterator[File]:
    """A PNG a frame, 16-bit gray."""
    return _alpha_images(clip, lambda alpha: _png(_deep(alpha)))


def _alpha_videos(
    clip: StoredClip, encoder: type[AlphaEncoder | GrayProRes], ending: str
) -> Iterator[File]:
    for masklet in clip.picked:
        spool = Spool()
        video = encoder(*clip.document.shape, clip.rate, spool.file)
        for alpha in clip.alpha(masklet):
            video.write(alpha)
        video.close()
        yield f"alpha/{clip.key}/{masklet}.{ending}", spool.blob()
    yield _about(clip)


def _alpha_images(clip: StoredClip, encode: Callable[[AlphaFrame], bytes]) -> Iterator[File]:
    for masklet in clip.picked:
        for number, alpha in zip(clip.indices, clip.alpha(masklet), strict=True):
            yield f"alpha/{clip.key}/{masklet}/{number:05d}.png", encode(alpha)
    yield _about(clip)


def _cut_out(clip: StoredClip, masklet: str) -> Iterator[tuple[Frame, AlphaFrame]]:
    """The object's colours and alpha on each annotated frame."""
    for frame, alpha in zip(clip.frames(), clip.alpha(masklet), strict=True):
        yield foreground(frame, alpha) if alpha.any() else np.zeros_like(frame), alpha


def _about(clip: StoredClip) -> File:
    """Frame i of a video is ``frame_indices[i]`` of the source."""
    return about_name(clip.key), clip.about().encode(frames_per_second=float(clip.rate))


def _deep(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return values.astype(np.uint16) * np.uint16(257)


def _png(picture: NDArray[Any]) -> bytes:
    """(H, W) gray or (H, W, 4) BGRA as a PNG of its own depth."""
    ok, data = cv2.imencode(".png", picture, _LEVEL)
    assert ok
    return data.tobytes()
