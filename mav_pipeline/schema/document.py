"""The json member of a sample as a typed value; written by builds, read by everything that reads.

What each key means stands in ``docs/format.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from mav_pipeline.schema.version import check_format


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletDocument:
    """What a sample says of one stored masklet.

    Attributes:
        mask: of each annotated frame, COCO run lengths as json has them, or None; not yet parsed.
        scores: by name; a score that the set's format lacks is not in it.
        visible: of each annotated frame, whether the object is seen.
        annotated: of each, whether anybody looked for the object. Where nobody did, it may be there
            and not be seen, and alpha is no training target unless the backend tracks objects.
    """

    name: str
    id: int
    kind: str
    status: str
    mask: tuple[Any, ...]
    scores: Mapping[str, float | None]
    visible: tuple[bool, ...]
    annotated: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which build made a sample, by which backend, with which seed of its noise.

    Attributes:
        tracks: whether alpha may show the object also where no mask does; said only where it is so.
    """

    fingerprint: str
    backend: str
    seed: int
    tracks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleDocument:
    """What a sample's json holds; the key of the sample is the clip's id."""

    format: int
    video_id: str
    width: int
    height: int
    fps: float
    frame_indices: tuple[int, ...]
    environment: str | None
    masklets: tuple[MaskletDocument, ...]
    provenance: Provenance

    @property
    def key(self) -> str:
        return self.video_id

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of frames and alpha."""
        return self.height, self.width

    @property
    def step(self) -> int:
        """Source frames from one annotated frame to the next."""
        first = self.frame_indices[:2]
        return max(1, first[1] - first[0]) if len(first) == 2 else 1

    def masklet(self, name: str) -> MaskletDocument:
        """Raises ValueError where the sample does not hold it."""
        found = next((masklet for masklet in self.masklets if masklet.name == name), None)
        if found is None:
            raise ValueError(f"the sample of {self.key} holds no masklet {name}")
        return found

    def encode(self) -> bytes:
        """The json, the same for the same values; format 1 does not say that it is one."""
        document = {"key": self.key, **asdict(self)}
        if self.format == 1:
            del document["format"]
        if not self.provenance.tracks:
            del document["provenance"]["tracks"]
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The document that a sample's json holds.

        Raises:
            ValueError: it is none, contradicts itself, or is of a later format.
        """
        try:
            document = json.loads(data)
            found = cls._of(document)
            if document["key"] != found.video_id:
                raise ValueError(f"key {document['key']!r} is not video_id {found.video_id!r}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"the json is not that of a sample: {error!r}") from error
        count = len(found.frame_indices)
        for masklet in found.masklets:
            lengths = {len(masklet.visible), len(masklet.mask), len(masklet.annotated)}
            if lengths != {count}:
                what = f"masks of {sorted(lengths)} frames, of {count}"
                raise ValueError(f"the json is not that of a sample: {masklet.name} has {what}")
        return found

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            format=check_format(document, "the sample"),
            video_id=str(document["video_id"]),
            width=int(document["width"]),
            height=int(document["height"]),
            fps=float(document["fps"]),
            frame_indices=tuple(int(index) for index in document["frame_indices"]),
            environment=document["environment"],
            masklets=tuple(_masklet(entry) for entry in document["masklets"]),
            provenance=Provenance(**document["provenance"]),
        )


def rle_json(height: int, width: int, counts: bytes) -> dict[str, Any]:
    """COCO run lengths as a sample's json has them."""
    return {"size": [height, width], "counts": counts.decode("ascii")}


def _masklet(entry: Mapping[str, Any]) -> MaskletDocument:
    mask: Sequence[Any] = entry["mask"]
    everywhere = [True] * len(mask)  # sets from before the key are annotated on every frame
    return MaskletDocument(
        name=str(entry["name"]),
        id=int(entry["id"]),
        kind=str(entry["kind"]),
        status=str(entry["status"]),
        mask=tuple(mask),
        scores=dict(entry["scores"]),
        visible=tuple(entry["visible"]),
        annotated=tuple(entry.get("annotated", everywhere)),
    )
