"""Pictures of what the quality gets most wrong, and of fine structure as it comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.masks import decode_rle

from .cases import Row, variants
from .fit import FLOOR
from .judge import Judged
from .sources import Source
from .subjects import Subject

_EACH = 4  # too high and too low, each of another source
_CELL = (200, 150)  # width, height of a picture
_LARGE = (300, 225)  # the same, where single wires and hairs are to be seen
#: Sources whose mattes are shown as they come out.
_FINE = ("mesh", "leaves", "hairs", "lace")
_GAP = 4
_QUALITY = 75  # of the JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A matte, what the quality takes its error for, and what that is worth."""

    row: Row
    estimate: float
    quality: float


def worst(judged: Judged) -> list[Mistake]:
    """The mattes with the greatest ratios of error and estimate, both ways, one a source."""
    ratio = np.log((judged.estimate + FLOOR) / (judged.error + FLOOR))
    order, found = np.argsort(ratio, kind="stable"), []
    for ranked in (order[ratio[order] < 0], order[ratio[order] > 0][::-1]):
        used: set[str] = set()
        for index in ranked.tolist():
            row = judged.rows[index]
            if row.source not in used and len(used) < _EACH:
                used.add(row.source)
                estimate, quality = float(judged.estimate[index]), float(judged.quality[index])
                found.append(Mistake(row=row, estimate=estimate, quality=quality))
    return found


def typical(judged: Judged) -> list[Row]:
    """Of each source of fine structure, closed_form's matte of median error; faithful masks."""
    plain = judged.where(base="closed_form", damage="none", mask="faithful")
    found = (plain.where(source=name) for name in _FINE)
    middle = ((one, np.argsort(one.error, kind="stable")[len(one.rows) // 2]) for one in found)
    return [one.rows[index] for one, index in middle]


def write_pictures(
    judged: Judged, known: Mapping[str, Source], work: Path, folder: Path
) -> tuple[Sequence[Mistake], Sequence[Row]]:
    """A line of frame, mask, matte, truth and difference for each of the worst, and the typical."""
    mistakes, plain = worst(judged), typical(judged)
    shown = (
        ("mistakes.jpg", [mistake.row for mistake in mistakes], _CELL),
        ("fine.jpg", plain, _LARGE),
    )
    for name, rows, cell in shown:
        lines = [_line(row, known[row.source], work, cell) for row in rows]
        space = np.full((_GAP, lines[0].shape[1], 3), 255, np.uint8)
        board = np.vstack([part for line in lines for part in (line, space)])[:-_GAP]
        bgr = cv2.cvtColor(board, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return mistakes, plain


def _line(row: Row, source: Source, work: Path, cell: tuple[int, int]) -> NDArray[np.uint8]:
    subject = _subject(row, source, work)
    wanted = (row.mask, row.base, row.damage, row.strength)
    found = next(
        one for one in variants(subject) if (one.mask, one.base, one.damage, one.strength) == wanted
    )
    apart = np.abs(found.alpha.astype(np.int16) - subject.truth).astype(np.uint8)
    at = int(apart.sum(axis=(1, 2), dtype=np.int64).argmax())  # the frame that is most wrong
    rle = found.masklet.rles[at]
    mask = np.zeros_like(apart[at]) if rle is None else decode_rle(rle).astype(np.uint8) * 255
    planes = (mask, found.alpha[at], subject.truth[at], apart[at])
    pictures = [[*subject.loaded.frames][at], *(cv2.merge([plane] * 3) for plane in planes)]
    space = np.full((cell[1], _GAP, 3), 255, np.uint8)
    cells = [part for picture in pictures for part in (_cell(picture, cell), space)]
    return np.hstack(cells[:-1])


def _subject(row: Row, source: Source, work: Path) -> Subject:
    return next(one for one in source.subjects(row.unit, work) if one.name == row.subject)


def _cell(picture: NDArray[np.uint8], cell: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = cv2.resize(picture, size, interpolation=way)
    found = np.full((cell[1], cell[0], 3), 96, np.uint8)
    top, left = (cell[1] - size[1]) // 2, (cell[0] - size[0]) // 2
    found[top : top + size[1], left : left + size[0]] = small
    return found
