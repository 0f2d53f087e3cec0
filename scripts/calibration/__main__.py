"""``python -m scripts.calibration``: measures, fits the quality, judges it, writes the page.

About ten minutes on one core. Stopped, it goes on where it was; a change of what makes scores or
mattes measures anew, a change of the rule, the fit or the page does not.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from mav_pipeline.cli import load_config
from mav_pipeline.quality.rule import TERMS, load_weights

from .fit import fit, fitted_rows
from .page import REPOSITORY, Page, write_page, write_weights
from .rows import measured
from .sources import SHARED, sources


def main() -> None:
    """Fits to what is rendered, judges on each source left out."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.calibration", description=__doc__)
    add = arguments.add_argument
    add("--shared", type=Path, default=SHARED, help="folder of real_truth and sav_mini, if any")
    add("--work", type=Path, default=REPOSITORY / "outputs/calibration", help="what was measured")
    add("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    known = sources(given.shared)
    # A new term has no weight yet, and scoring needs one.
    old = load_weights()
    write_weights({term.name: old.get(term.name, 0.0) for term in TERMS})
    rows = measured(given.shared, given.work, given.processes)
    weights = fit(fitted_rows(rows, known))
    write_weights(weights)
    write_page(Page(rows, known, weights, load_config(()).quality), given.work)


if __name__ == "__main__":
    main()
