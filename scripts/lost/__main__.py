"""``python -m scripts.lost [FOLDER]``: writes docs/lost_frames.md.

Masks are taken away on frames on which the object is seen, as trackers lose it, and it is counted
how many of these are found; masklets as they are say how often a true absence is taken for a loss.
FOLDER holds real sets, by default ``../shared/data``; without them their rows are left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mav_pipeline.config import BOUNDS
from mav_pipeline.media.masks import decode_rle, encode_rle
from mav_pipeline.quality import LostFrames
from mav_pipeline.schema import Masklet, Rle

from .clips import Followed, behind, real, sample

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "lost_frames.md"
TEXT = Path(__file__).with_name("page.md")
LIMIT = next(b.fitted.limit for b in BOUNDS if b.key == "max_lost_share" and b.fitted is not None)

Chooser = Callable[[list[int], np.random.Generator], set[int]]


def _runs(seen: list[int], rng: np.random.Generator) -> set[int]:
    """Runs of three, about as many frames as a third."""
    starts = [n for n in range(1, len(seen), 3) if rng.random() < 1 / 3]
    return {index for start in starts for index in seen[start : start + 3]}


#: Which of the frames that show the object lose their mask; the first never does.
LOSSES: dict[str, Chooser] = {
    "none": lambda _, __: set(),
    "a third at random": lambda seen, rng: {n for n in seen[1:] if rng.random() < 1 / 3},
    "every third": lambda seen, _: set(seen[2::3]),
    "runs of three": _runs,
    "the last third": lambda seen, _: set(seen[len(seen) * 2 // 3 :]),
    "a third to crumbs": lambda seen, rng: {n for n in seen[1:-1] if rng.random() < 1 / 3},
}


@dataclass(slots=True)
class Tally:
    """What came of the masklets of one set under one loss."""

    masklets: int = 0
    rejected: int = 0
    taken: int = 0
    found: int = 0
    wrong: int = 0
    times: list[float] = field(default_factory=list)

    def add(self, item: Followed, taken: set[int], *, crumbs: bool) -> None:
        """Takes masks away and looks."""
        rles = tuple(
            (_crumb(rle) if crumbs else None) if index in taken and rle is not None else rle
            for index, rle in enumerate(item.rles)
        )
        lost = LostFrames.of(Masklet("manual_000", 0, "manual", rles))
        for index, frame in enumerate(item.frames):
            if lost.wants(index):
                start = time.perf_counter()
                lost.see(index, frame)
                self.times.append(time.perf_counter() - start)
        called = lost.gone | lost.crumbs
        there = sum(rle is not None for rle in rles) + len(lost.gone)
        self.masklets += 1
        self.rejected += len(called) > LIMIT * there
        self.taken += len(taken)
        self.found += len(called & taken)
        self.wrong += len(called - taken)

    def row(self) -> list[str]:
        share = f"{self.found / self.taken:.2f}" if self.taken else "-"
        rejected = f"{self.rejected / self.masklets:.2f}"
        look = f"{1e3 * float(np.median(self.times)):.1f}" if self.times else "-"
        counts = (self.masklets, self.taken)
        return [*map(str, counts), share, str(self.wrong), rejected, str(len(self.times)), look]


def _crumb(rle: Rle) -> Rle | None:
    """What is within a twelfth of sqrt(area) of a pixel in the middle of the mask's pixels."""
    mask = np.ascontiguousarray(decode_rle(rle))
    y, x = (int(places[len(places) // 2]) for places in np.nonzero(mask))
    reach = max(2, round(rle.area**0.5 / 12))
    near = np.zeros_like(mask)
    near[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] = True
    return encode_rle(mask & near)


def measured(items: Iterable[Followed]) -> dict[str, Tally]:
    """Every loss on every masklet."""
    rng, found = np.random.default_rng(5), {name: Tally() for name in LOSSES}
    for item in items:
        seen = [index for index, rle in enumerate(item.rles) if rle is not None]
        for name, choose in LOSSES.items():
            found[name].add(item, choose(seen, rng), crumbs="crumbs" in name)
    return found


def main() -> None:
    """Measures and writes the page."""
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY.parent / "shared" / "data")
    sets = {"sample": sample(), "behind": behind(), "real": real(shared)}
    head = ("set", "masks lost", "masklets", "frames taken", "found", "wrong", "rejected")
    lines = [[*head, "looks", "ms a look"], ["---"] * 9]
    for name, items in sets.items():
        for loss, tally in measured(items).items():
            if tally.masklets:
                lines.append([name, loss, *tally.row()])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    PAGE.write_text(TEXT.read_text("utf-8").replace("{table}", table), encoding="utf-8")


if __name__ == "__main__":
    main()
