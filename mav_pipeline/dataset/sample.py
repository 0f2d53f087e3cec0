"""One sample to members and back: alpha streams, and the json about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from mav_pipeline.media.decode import alpha_rate, decode_alpha
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.media.images import decode_image, decode_png, encode_png
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.media.seek import decode_frames
from mav_pipeline.schema import (
    AlphaFrame,
    Clip,
    Frame,
    Masklet,
    Member,
    Members,
    Rle,
    Sample,
    Verdict,
    read_content,
)
from mav_pipeline.schema.document import (
    MaskletDocument,
    Provenance,
    SampleDocument,
    rle_json,
)
from mav_pipeline.schema.scores import SCORE


class AlphaWriter(Protocol):
    """Takes the (H, W) alpha frames of one masklet in order, gives the members that hold them."""

    def write(self, alpha: AlphaFrame) -> None: ...

    def close(self) -> tuple[Member, ...]: ...


class _Ffv1Writer:
    def __init__(self, clip: Clip, masklet: Masklet) -> None:
        rate = alpha_rate(clip.fps, _step(clip.frame_indices))
        self._name = f"{masklet.name}.alpha.mkv"
        self._encoder = AlphaEncoder(clip.height, clip.width, rate)

    def write(self, alpha: AlphaFrame) -> None:
        self._encoder.write(alpha)

    def close(self) -> tuple[Member, ...]:
        return ((self._name, self._encoder.close()),)


class _PngWriter:
    def __init__(self, clip: Clip, masklet: Masklet) -> None:
        self._name, self._indices = masklet.name, iter(clip.frame_indices)
        self._members: list[Member] = []

    def write(self, alpha: AlphaFrame) -> None:
        name = f"{self._name}.alpha.{next(self._indices):05d}.png"
        self._members.append((name, encode_png(alpha)))

    def close(self) -> tuple[Member, ...]:
        return tuple(self._members)


def alpha_writer(kind: Literal["ffv1", "png"], clip: Clip, masklet: Masklet) -> AlphaWriter:
    """The writer for ``output.alpha``."""
    return _Ffv1Writer(clip, masklet) if kind == "ffv1" else _PngWriter(clip, masklet)


@dataclass(frozen=True, slots=True)
class StoredMasklet:
    """A masklet as it enters a sample: its verdict and its encoded alpha."""

    masklet: Masklet
    verdict: Verdict
    alpha: tuple[Member, ...]


def encode_sample(
    clip: Clip,
    rgb: Sequence[Member],
    stored: Sequence[StoredMasklet],
    provenance: Provenance,
    format_: int,
) -> Sample:
    """The members of one sample: json, RGB, then the masklets' alphas in their order."""
    document = SampleDocument(
        format=format_,
        video_id=clip.video_id,
        width=clip.width,
        height=clip.height,
        fps=clip.fps,
        frame_indices=clip.frame_indices,
        environment=clip.environment,
        masklets=tuple(_document(item, format_) for item in stored),
        provenance=provenance,
    )
    alphas = [member for item in stored for member in item.alpha]
    return Sample(clip.video_id, (("json", document.encode()), *rgb, *alphas))


def _document(item: StoredMasklet, format_: int) -> MaskletDocument:
    masklet, scores = item.masklet, item.verdict.scores
    return MaskletDocument(
        name=masklet.name,
        id=masklet.id,
        kind=masklet.kind,
        status=item.verdict.status,
        mask=tuple(r and rle_json(r.height, r.width, r.counts) for r in masklet.rles),
        scores={name: scores[name] for name in scores if SCORE[name].since <= format_},
        visible=masklet.visible,
    )


@dataclass(frozen=True, slots=True)
class DecodedMasklet:
    """A masklet read back: (T, H, W) alpha, and its masks as run lengths."""

    name: str
    kind: str
    status: str
    alpha: np.ndarray[Any, np.dtype[np.uint8]]
    rles: tuple[Rle | None, ...]


def decode_sample(members: Members) -> tuple[SampleDocument, list[DecodedMasklet]]:
    """The json and the masklets of one sample, checked against each other.

    Args:
        members: by extension, as ``webdataset`` gives them.

    Raises:
        ValueError: something is missing, left over, or does not decode to what the json says.
        InputError: a mask is no run lengths.
    """
    document = read_document(members)
    alphas = sorted(name for name in members if ".alpha." in name)
    decoded = []
    for masklet in document.masklets:
        decoded.append(_decoded(document, masklet, members))
        alphas = [member for member in alphas if not member.startswith(f"{masklet.name}.alpha.")]
    if alphas:
        raise ValueError(f"members {alphas} belong to no masklet of the json")
    return document, decoded


def read_document(members: Members) -> SampleDocument:
    """The json of a sample. Raises ValueError where it is missing, or none of a sample."""
    try:
        return SampleDocument.decode(read_content(members["json"]))
    except KeyError as error:
        raise ValueError("the sample has no json") from error


def masks_in(document: SampleDocument, masklet: MaskletDocument) -> Iterator[Rle | None]:
    """Its masks of each annotated frame. Raises InputError where one is no run lengths."""
    for mask in masklet.mask:
        yield parse_rle(mask, *document.shape, role="mask")


def _decoded(
    document: SampleDocument, masklet: MaskletDocument, members: Members
) -> DecodedMasklet:
    name, indices = masklet.name, document.frame_indices
    frames = [*alpha_frames(members, name, indices)]
    shapes = {frame.shape for frame in frames}
    if len(frames) != len(indices) or shapes != {document.shape}:
        raise ValueError(
            f"alpha of {name} has {len(frames)} frames of {sorted(shapes)}, the json "
            f"{len(indices)} of {document.shape}"
        )
    rles = tuple(masks_in(document, masklet))
    if tuple(rle is not None for rle in rles) != masklet.visible:
        raise ValueError(f"masks of {name} do not agree with its visible frames")
    for number, (frame, shown) in enumerate(zip(frames, masklet.visible, strict=True)):
        if not shown and frame.any():
            raise ValueError(f"alpha of {name} is not 0 on invisible frame {number}")
    return DecodedMasklet(name, masklet.kind, masklet.status, np.stack(frames), rles)


def masks_of(masklet: DecodedMasklet) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(T, H, W) bool masks of a decoded masklet; all False where it is invisible."""
    shape = masklet.alpha.shape[1:]
    empty = np.zeros(shape, np.bool_)
    return np.stack([empty if rle is None else decode_rle(rle) for rle in masklet.rles])


def alpha_frames(
    members: Members,
    name: str,
    indices: Sequence[int],
    start: int = 0,
    stop: int | None = None,
) -> Iterator[AlphaFrame]:
    """The (H, W) frames of one masklet of a sample, decoded one by one.

    Args:
        indices: ``frame_indices`` of the sample.
        start, stop: the places in ``indices`` that are wanted; no other frame is decoded.

    Raises:
        ValueError: a member is missing, or does not decode.
    """
    if (video := members.get(f"{name}.alpha.mkv")) is not None:
        yield from decode_alpha(video, start, stop)
        return
    for index in indices[start:stop]:
        png = members.get(f"{name}.alpha.{index:05d}.png")
        if png is None:
            raise ValueError(f"alpha of {name} is missing: it has no frame {index}")
        yield decode_png(read_content(png))


def rgb_frames(members: Members, numbers: Sequence[int]) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of a sample by ascending source frame numbers; decodes no other.

    Raises:
        ValueError: a member is missing, or does not decode.
    """
    if (video := members.get("rgb.mp4")) is not None:
        yield from decode_frames(video, numbers)
        return
    for number in numbers:
        names = (f"rgb.{number:05d}.{kind}" for kind in ("jpg", "png"))
        image = next((members[name] for name in names if name in members), None)
        if image is None:
            raise ValueError(f"the sample has no RGB of frame {number}")
        yield decode_image(read_content(image))


def _step(indices: Sequence[int]) -> int:
    return max(1, indices[1] - indices[0]) if len(indices) > 1 else 1
