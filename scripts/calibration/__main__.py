"""``python -m scripts.calibration``: measures, fits the quality, judges it, writes the page.

About a quarter of an hour on two cores. Stopped, it goes on where it was; a change of what makes
scores or mattes measures anew, a change of network, rule, fit or page does not.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from mav_pipeline.cli import load_config
from mav_pipeline.quality.rule import TERMS, load_weights
from mav_pipeline.quality.traits import NAMES

from .fit import fit, fitted_rows
from .network import untrained
from .networks import networks, scored
from .page import Page, write_page
from .rows import measured
from .shipped import REPOSITORY, has_network, write_network, write_weights
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
    # A new term has no weight yet, and new traits no network; scoring needs both.
    old = load_weights()
    write_weights({term.name: old.get(term.name, 0.0) for term in TERMS})
    if not has_network():
        write_network(untrained(NAMES))
    rows, points = measured(given.shared, given.work, given.processes)
    made = networks(known, given.shared, given.work, given.processes)
    by_source = {name: scored(rows, points, network) for name, network in made.items()}
    weights = fit(fitted_rows(by_source[None], known))
    write_network(made[None])
    write_weights(weights)
    write_page(Page(by_source, known, weights, load_config(()).quality), given.work)


if __name__ == "__main__":
    main()
