"""One sample to members and back: alpha streams, and the json about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mav_pipeline.media.decode import alpha_rate, decode_alpha
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.media.images import decode_image, decode_png, encode_png
from mav_pipeline.media.masks import parse_rle
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
from mav_pipeline.storage import Spool


class AlphaWriter(Protocol):
    """Takes the (H, W) alpha frames of one masklet in order, gives the members that hold them."""

    def write(self, alpha: AlphaFrame) -> None: ...

    def close(self) -> tuple[Member, ...]: ...


class _Ffv1Writer:
    def __init__(self, clip: Clip, masklet: Masklet) -> None:
        rate = alpha_rate(clip.fps, _step(clip.frame_indices))
        self._name, self._spool = f"{masklet.name}.alpha.mkv", Spool()
        self._encoder = AlphaEncoder(clip.height, clip.width, rate, self._spool.file)

    def write(self, alpha: AlphaFrame) -> None:
        self._encoder.write(alpha)

    def close(self) -> tuple[Member, ...]:
        self._encoder.close()
        return ((self._name, self._spool.blob()),)


class _PngWriter:
    def __init__(self, clip: Clip, masklet: Masklet) -> None:
        self._name, self._indices = masklet.name, iter(clip.frame_indices)
        self._members: list[Member] = []
        self._spool = Spool()

    def write(self, alpha: AlphaFrame) -> None:
        name = f"{self._name}.alpha.{next(self._indices):05d}.png"
        self._members.append((name, self._spool.add(encode_png(alpha))))

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
        annotated=masklet.looked_for,
    )


def check_sample(document: SampleDocument, members: Members) -> None:
    """Decodes all alpha of a sample, frame by frame, and holds it to the json.

    Args:
        members: by extension, as ``webdataset`` gives them.

    Raises:
        ValueError: something is missing, left over, or does not decode to what the json says.
        InputError: a mask is no run lengths.
    """
    alphas = {name for name in members if ".alpha." in name}
    for masklet in document.masklets:
        _check_masklet(document, masklet, members)
        alphas -= {name for name in alphas if name.startswith(f"{masklet.name}.alpha.")}
    if alphas:
        raise ValueError(f"members {sorted(alphas)[:5]} belong to no masklet of the json")


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


def _check_masklet(document: SampleDocument, masklet: MaskletDocument, members: Members) -> None:
    name = masklet.name
    found = alpha_frames(members, name, document.frame_indices)
    wanted = f"the json {len(document.frame_indices)} of {document.shape}"
    masks = masks_in(document, masklet)
    for number, shown in enumerate(masklet.visible):
        alpha = next(found, None)
        if alpha is None:
            raise ValueError(f"alpha of {name} has {number} frames, {wanted}")
        if alpha.shape != document.shape:
            raise ValueError(f"alpha of {name} has frames of {alpha.shape}, {wanted}")
        if (next(masks) is not None) != shown:
            raise ValueError(f"masks of {name} do not agree with its visible frames")
        if not (shown or document.provenance.tracks) and alpha.any():
            raise ValueError(f"alpha of {name} is not 0 on invisible frame {number}")
    if next(found, None) is not None:
        raise ValueError(f"alpha of {name} has more frames, {wanted}")


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
