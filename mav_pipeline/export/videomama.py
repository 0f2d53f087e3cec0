"""VideoMaMa's own layout: a sequence for each time that a masklet is in view, and their table.

    image/<sequence>/0000.jpg   mask/<sequence>/0000.png   alpha/<sequence>/0000.png
    metadata.parquet            a row a sequence; about/<sequence>.json: its frame numbers

Its loaders count frames from 0 and take any window of a sequence, and the mask they train with is
made from alpha: a window without the object would be a sample of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mav_pipeline.export.clip import File, StoredClip, spans
from mav_pipeline.media.images import encode_png
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.schema.about import about_name


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Some frames of a masklet, under the name of their folders."""

    name: str
    masklet: str
    places: Sequence[int]


def videomama(clip: StoredClip) -> Iterator[File]:
    """The files of a clip in time order, all its sequences at once."""
    sequences = _sequences(clip)
    at = {
        (sequence.masklet, place): (sequence.name, number)
        for sequence in sequences
        for number, place in enumerate(sequence.places)
    }
    wanted = sorted({place for _, place in at})
    jpegs = clip.jpegs([clip.indices[place] for place in wanted])
    mattes = {
        name: zip(clip.mask_images(name), clip.alpha(name), strict=True) for name in clip.picked
    }
    for place in range(max(wanted, default=-1) + 1):
        jpeg = next(jpegs)[1] if place in wanted else b""
        for masklet, frames in mattes.items():
            mask, alpha = next(frames)
            if (found := at.get((masklet, place))) is not None:
                sequence, number = found
                yield f"image/{sequence}/{number:04d}.jpg", jpeg
                yield f"mask/{sequence}/{number:04d}.png", encode_png(mask)
                yield f"alpha/{sequence}/{number:04d}.png", encode_png(alpha)
    for one in sequences:
        yield about_name(one.name), clip.about(one.places).encode(masklet=one.masklet)


def facts(clip: StoredClip) -> Mapping[str, Any]:
    """What the table will say of a clip's sequences."""
    return {"sequences": [_fact(clip, sequence) for sequence in _sequences(clip)]}


def metadata(receipts: Sequence[Mapping[str, Any]]) -> bytes:
    """The table by which VideoMaMa's training code finds its sequences.

    Its own columns first. ``visible`` has the runs [start, end) of a sequence's frames on which the
    object is seen.
    """
    rows = [sequence for receipt in receipts for sequence in receipt["sequences"]]
    columns: dict[str, list[Any]] = {
        "composite_path": [f"image/{row['name']}" for row in rows],
        "mask_path": [f"mask/{row['name']}" for row in rows],
        "alpha_path": [f"alpha/{row['name']}" for row in rows],
        "num_frames": [len(row["frame_indices"]) for row in rows],
        **{key: [row[key] for row in rows] for key in _TYPES},
    }
    table = pa.table(columns)
    for key, kind in _TYPES.items():  # a table without rows has no types of its own
        table = table.set_column(table.schema.get_field_index(key), key, table[key].cast(kind))
    return encode_table(table)


_TYPES: Mapping[str, pa.DataType] = {
    "key": pa.string(),
    "masklet": pa.string(),
    "frame_indices": pa.list_(pa.int64()),
    "visible": pa.list_(pa.list_(pa.int64())),
}


def _sequences(clip: StoredClip) -> list[_Sequence]:
    """Named by clip and masklet, and by the first frame's number too where there are several."""
    found = []
    for masklet in clip.picked:
        runs = clip.runs(masklet)
        for places in runs:
            number = f"_{clip.indices[places[0]]:05d}" if len(runs) > 1 else ""
            found.append(_Sequence(f"{clip.key}_{masklet}{number}", masklet, places))
    return found


def _fact(clip: StoredClip, sequence: _Sequence) -> Mapping[str, Any]:
    shown = clip.visible(sequence.masklet)
    flags = [shown[place] for place in sequence.places]
    runs = spans(range(len(flags)), flags)
    return {
        "name": sequence.name,
        "key": clip.key,
        "masklet": sequence.masklet,
        "frame_indices": [clip.indices[place] for place in sequence.places],
        "visible": [[run[0], run[-1] + 1] for run in runs],
    }
