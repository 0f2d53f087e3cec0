"""Binary masks as COCO run lengths, checked before anything decodes them.

pycocotools 2.0.11 decodes run lengths that sum short into uninitialised memory, so the sum is
checked here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from mav_pipeline.media.sizing import pad
from mav_pipeline.schema import Mask, Rle, WorkingSize
from mav_pipeline.schema.errors import InputError


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Decodes COCO's compressed ``counts``: lengths of alternating runs of 0 and 1, column-major.

    Five bits a character from 48 up, least significant first, bit 6 = more follows, the last one
    signed; from the fourth run on, each is stored as the difference to the one two before.

    Raises:
        ValueError: characters outside the alphabet, or an unfinished number.
    """
    codes = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if codes.size == 0:
        return codes
    if codes.min() < 0 or codes.max() > 63:
        raise ValueError("counts hold characters outside COCO's alphabet")
    last = (codes & 32) == 0
    if not last[-1]:
        raise ValueError("counts end inside a number")
    starts = np.flatnonzero(np.concatenate(([True], last[:-1])))
    digit = np.arange(codes.size) - np.repeat(starts, np.diff(np.append(starts, codes.size)))
    if digit.max() > 6:
        raise ValueError("counts hold a number of more than 32 bits")
    values = np.add.reduceat((codes & 31) << (5 * digit), starts)
    ends = np.flatnonzero(last)
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * (digit[ends] + 1)), 0)
    runs = values.copy()
    if runs.size > 2:
        runs[1::2] = np.cumsum(values[1::2])
        runs[2::2] = np.cumsum(values[2::2])
    return runs


def parse_rle(data: Any, height: int, width: int, *, role: str) -> Rle | None:
    """Checks one COCO RLE from a json; None for an invisible object (null or all zero).

    Raises:
        InputError: not an RLE, of another size, or runs that do not sum to height x width.
    """
    if data is None:
        return None
    try:
        size, counts = data["size"], data["counts"]
        h, w = (int(side) for side in size)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise _bad("rle", "a mask is not a COCO RLE with size [H, W] and counts", role) from error
    if (h, w) != (height, width):
        raise _bad("rle_size", f"a mask is {w}x{h}, its video {width}x{height}", role)
    if isinstance(counts, list):
        if not all(isinstance(run, int | float) and run >= 0 for run in counts):
            raise _bad("rle", "counts of a mask are not run lengths", role)
        if max(counts, default=0) > height * width:  # beyond 64 bits a sum could come out right
            cause = f"a run of a mask is {max(counts)}, the frame has {height} x {width} pixels"
            raise _bad("rle_sum", cause, role)
        runs = np.asarray(counts, dtype=np.int64)
    elif isinstance(counts, str | bytes):
        text = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
        try:
            runs = run_lengths(text)
        except ValueError as error:
            raise _bad("rle", f"a mask cannot be read: {error}", role) from error
    else:
        raise _bad("rle", f"counts of a mask are a {type(counts).__name__}", role)
    if (runs.size and runs.min() < 0) or int(runs.sum()) != height * width:
        cause = f"runs of a mask sum to {int(runs.sum())}, not {height} x {width}"
        raise _bad("rle_sum", cause, role)
    area = int(runs[1::2].sum())
    if area == 0:
        return None
    if isinstance(counts, list):
        text = bytes(coco.frPyObjects({"size": [h, w], "counts": runs.tolist()}, h, w)["counts"])
    return Rle(height, width, text, area)


def decode_rle(rle: Rle) -> Mask:
    """(height, width) bool. ``rle`` must come from ``parse_rle`` or ``encode_rle``.

    In column-major order, as COCO keeps it: whoever needs a part copies just that.
    """
    decoded = coco.decode({"size": [rle.height, rle.width], "counts": rle.counts})
    return np.asarray(decoded).view(np.bool_)


def encode_rle(mask: Mask) -> Rle | None:
    """COCO's run lengths of a mask; None for an empty one."""
    area = int(np.count_nonzero(mask))
    if area == 0:
        return None
    columns = cv2.transpose(np.ascontiguousarray(mask).view(np.uint8))  # faster than numpy's copy
    counts = coco.encode(np.asfortranarray(columns.T))["counts"]
    return Rle(mask.shape[0], mask.shape[1], bytes(counts), area)


def rle_box(rle: Rle) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the mask's pixels, end exclusive."""
    x, y, w, h = coco.toBbox({"size": [rle.height, rle.width], "counts": rle.counts}).astype(int)
    return int(y), int(x), int(y + h), int(x + w)


def at_size(mask: Mask, size: WorkingSize) -> Mask:
    """Brings a source mask to its working size: by area, at one half, then edge-padded."""
    mask = np.ascontiguousarray(mask)
    if mask.shape != (size.height, size.width):
        share = cv2.resize(
            mask.view(np.uint8) * np.uint8(255),
            (size.width, size.height),
            interpolation=cv2.INTER_AREA,
        )
        mask = np.asarray(share > 127)
    return pad(mask.view(np.uint8), size).view(np.bool_)


def visible_spans(visible: Sequence[bool], join: int = 0) -> list[tuple[int, int]]:
    """[start, end) of each run of visible frames; gaps of at most ``join`` frames are bridged."""
    spans: list[tuple[int, int]] = []
    for index, shown in enumerate(visible):
        if not shown:
            continue
        if spans and index - spans[-1][1] <= join:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


def _bad(reason: str, cause: str, role: str) -> InputError:
    return InputError(reason, cause, role=role, stage="masks")
