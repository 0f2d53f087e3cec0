"""``python -m scripts.calibration [sav_mini]``: fits the quality, judges it, writes the page.

A few minutes on one core. The argument is a folder of real masklets with truth, ``../shared/data/
sav_mini`` where it is present.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import cv2

from mav_pipeline.cli import load_config

from .cases import real_rows, rows
from .fit import fit
from .judge import Judged
from .page import REPOSITORY, write_page, write_weights


def main() -> None:
    """Fits on one half, judges on the other."""
    logging.basicConfig(level=logging.WARNING)
    cv2.setNumThreads(1)
    fitting = list(rows("fit"))
    weights = fit(fitting)
    write_weights(weights)
    given = sys.argv[1] if len(sys.argv) > 1 else REPOSITORY.parent / "shared/data/sav_mini"
    mini = Path(given)
    write_page(
        weights,
        Judged(fitting, weights),
        Judged(list(rows("judge")), weights),
        Judged(list(real_rows(mini)), weights) if mini.is_dir() else None,
        load_config(()).quality,
    )


if __name__ == "__main__":
    main()
