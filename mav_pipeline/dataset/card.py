"""What a set says of itself: the dataset card, ``README.md``, and the words that Croissant shares.

Both follow from ``run.json``, receipts and rows; no place on a machine gets in. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mav_pipeline.dataset.columns import MEANINGS
from mav_pipeline.schema import SCORE_NAMES, RunReport

TITLE = "Video mattes built by mav_pipeline"
TAGS = ("video-matting", "alpha-matte", "video-object-segmentation", "webdataset", "sa-v")
_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
#: Hugging Face's names of how many samples there are, by the number that is too many.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
_SAM2 = "Ravi et al.: SAM 2: Segment Anything in Images and Videos (SA-V), arXiv 2408.00714"
_VIDEOMAMA = (
    "Lim et al.: VideoMaMa: Mask-Guided Video Matting via Generative Prior, arXiv 2601.14255"
)


def about(run: Mapping[str, Any], report: RunReport) -> dict[str, Any]:
    """The set as schema.org's Dataset has it."""
    made = f"made from binary masklets by the {run['config']['matting']['name']} backend"
    description = (
        f"{report.masklets['accepted']} alpha mattes of objects in {report.clips['published']} "
        f"video clips, {made} of mav_pipeline. Pseudo-labels: nobody drew them. The videos and "
        "masklets of SA-V are CC BY 4.0 (Meta)."
    )
    if run["weights"]:
        description += (
            " The models that made the mattes are under the Stability AI Community License."
        )
    return {
        "name": TITLE,
        "description": description,
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "citeAs": "; ".join(works(run)),
        "keywords": list(TAGS),
        "identifier": run["fingerprint"],
    }


def works(run: Mapping[str, Any]) -> list[str]:
    """Whom to cite."""
    return [_SAM2, _VIDEOMAMA] if run["weights"] else [_SAM2]


def card(run: Mapping[str, Any], report: RunReport, samples: int, rows: pa.Table) -> bytes:
    """The card, the same for the same set.

    Args:
        samples: clips that the shards store.
        rows: of ``manifest.parquet``.
    """
    template = resources.files("mav_pipeline.dataset").joinpath("card.md.j2").read_text()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 markdown, not HTML
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.from_string(template).render(
        title=TITLE,
        tags=TAGS,
        size=next((name for most, name in _SIZES.items() if samples < most), "1M<n<10M"),
        run=run,
        report=report,
        samples=samples,
        works=works(run),
        percentiles=_PERCENTILES,
        scores=list(_quantiles(rows)),
        meanings=MEANINGS,
    )
    return text.encode()


def _quantiles(rows: pa.Table) -> Iterator[tuple[str, int, list[str]]]:
    """Of each score that accepted masklets have: name, how many have it, and its percentiles."""
    accepted = rows.filter(pc.equal(rows["status"], "accepted"))
    for score in SCORE_NAMES:
        values = accepted[score].drop_null().to_numpy()
        if len(values):
            found = np.percentile(values, _PERCENTILES)
            yield score, len(values), [f"{value:.3g}" for value in found]
