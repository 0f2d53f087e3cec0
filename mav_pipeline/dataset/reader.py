"""A set for those who use it: its rows, and its samples one by one.

    open_set -> MattingSet -> scores(): a table, a row a masklet
                           -> samples(): StoredSample -> frames(), alpha(name), masks(name)

Holds one sample's bytes and one frame at a time, however large the set is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.sample import alpha_frames, masks_in, read_document, rgb_frames
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.schema import AlphaFrame, Frame, Mask, Members
from mav_pipeline.schema.document import SampleDocument
from mav_pipeline.storage import open_storage


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One clip as a shard stores it; nothing is decoded until it is asked for.

    Whatever does not decode to what the json says is a ValueError.

    Attributes:
        document: sizes, frame numbers, masklets with their scores.
        members: the sample's files, by extension.
    """

    document: SampleDocument
    members: Members

    @property
    def key(self) -> str:
        return self.document.key

    @property
    def masklets(self) -> tuple[str, ...]:
        """The names of those that are stored, in order."""
        return tuple(masklet.name for masklet in self.document.masklets)

    def frames(self) -> Iterator[Frame]:
        """(H, W, 3) RGB of each annotated frame, as displayed."""
        for frame in rgb_frames(self.members, self.document.frame_indices):
            if frame.shape[:2] != self.document.shape:
                raise ValueError(f"a picture is {frame.shape}, not {self.document.shape}")
            yield frame

    def alpha(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame, 255 = opaque."""
        frames = alpha_frames(self.members, masklet, self.document.frame_indices)
        for _, alpha in zip(self.document.frame_indices, frames, strict=True):
            if alpha.shape != self.document.shape:
                raise ValueError(f"alpha of {masklet} is {alpha.shape}")
            yield alpha

    def masks(self, masklet: str) -> Iterator[Mask]:
        """(H, W) of each annotated frame: the binary mask that the alpha was made from."""
        for rle in masks_in(self.document, self.document.masklet(masklet)):
            empty = np.zeros(self.document.shape, np.bool_)
            yield empty if rle is None else np.ascontiguousarray(decode_rle(rle))


class MattingSet:
    """A set that ``mav build`` wrote, finished or not."""

    def __init__(self, built: BuiltSet) -> None:
        self._built = built

    def __repr__(self) -> str:
        return f"MattingSet({self._built.storage})"

    def scores(self) -> pa.Table:
        """A row a masklet: status, reasons, sizes, each score; see docs/format.md.

        Raises:
            OutputError: rows of a shard are missing or broken.
        """
        return self._built.rows()

    def samples(self, keys: Collection[str] | None = None) -> Iterator[StoredSample]:
        """The samples in the order of the shards.

        Args:
            keys: ids of the clips that are wanted; None takes all.

        Raises:
            ValueError: a shard or the json in it is damaged.
        """
        for receipt in self._built.receipts().values():
            tar = layout.data(receipt.tar.name)
            wanted = stored_samples(
                self._built.storage, tar, lambda key, _: keys is None or key in keys
            )
            for key, members in wanted:
                sample = StoredSample(read_document(members), members)
                if sample.key != key:
                    raise ValueError(f"sample {key} says that it is {sample.key}")
                yield sample


def open_set(root: str | Path, endpoint_url: str | None = None) -> MattingSet:
    """The set in a folder or under ``s3://bucket/prefix``, of any format up to this version's.

    Raises:
        ConfigError: ``root`` is no place that can be read.
        OutputError: there is no set, or it is of a later format.
    """
    return MattingSet(BuiltSet.open(open_storage(str(root), "root", endpoint_url)))
