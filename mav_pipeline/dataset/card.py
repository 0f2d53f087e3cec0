"""What a set says of itself: the dataset card, ``README.md``, and the words that Croissant shares.

Both follow from ``run.json``, receipts and rows; no place on a machine gets in. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.columns import MEANINGS
from mav_pipeline.schema import SCORE_NAMES, RunReport

TITLE = "Video mattes built by mav_pipeline"
_TAGS = ("video-matting", "alpha-matte", "video-object-segmentation", "webdataset")
_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
#: Hugging Face's names of how many samples there are, by the number that is too many.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
#: Licences that Hugging Face knows by a name of its own.
_CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/licenses/(by[a-z-]*)/4\.0/?")
#: To whom a set is owed that does not say it: it is from when SA-V was the only source.
_SAV: Mapping[str, Any] = {
    "licence": "https://creativecommons.org/licenses/by/4.0/",
    "sentence": "The videos and masklets of SA-V are CC BY 4.0 (Meta).",
    "weights_licence": None,
    "cites": ["Ravi et al.: SAM 2: Segment Anything in Images and Videos (SA-V), arXiv 2408.00714"],
    "tags": ["sa-v"],
}
_VIDEOMAMA = (
    "Lim et al.: VideoMaMa: Mask-Guided Video Matting via Generative Prior, arXiv 2601.14255"
)


def about(run: Mapping[str, Any], report: RunReport) -> dict[str, Any]:
    """The set as schema.org's Dataset has it."""
    owed = credits_of(run)
    made = f"made from binary masklets by the {run['config']['matting']['name']} backend"
    description = (
        f"{report.masklets['accepted']} alpha mattes of objects in {report.clips['published']} "
        f"video clips, {made} of mav_pipeline. Pseudo-labels: nobody drew them. {owed['sentence']}"
    ).rstrip()
    if owed["weights_licence"]:
        description += f" The models that made the mattes are under the {owed['weights_licence']}."
    return {
        "name": TITLE,
        "description": description,
        **({"license": owed["licence"]} if owed["licence"] else {}),
        **({"citeAs": "; ".join(owed["cites"])} if owed["cites"] else {}),
        "keywords": _tags(owed),
        "identifier": run["fingerprint"],
    }


def card(run: Mapping[str, Any], report: RunReport, samples: int, rows: pa.Table) -> bytes:
    """The card, the same for the same set.

    Args:
        samples: clips that the shards store.
        rows: of ``manifest.parquet``.
    """
    owed = credits_of(run)
    template = resources.files("mav_pipeline.dataset").joinpath("card.md.j2").read_text()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 markdown, not HTML
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.from_string(template).render(
        title=TITLE,
        front_matter=_front_matter(owed, samples),
        run=run,
        report=report,
        samples=samples,
        owed=owed,
        percentiles=_PERCENTILES,
        scores=list(_quantiles(rows)),
        meanings=MEANINGS,
    )
    return text.encode()


def credits_of(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """``credits`` of ``run.json``, also of a set from before they were recorded."""
    if "credits" in run:
        return run["credits"]  # type: ignore[no-any-return]
    if run["config"]["matting"]["name"] != "videomama":
        return _SAV
    cites = [*_SAV["cites"], _VIDEOMAMA]
    return {**_SAV, "weights_licence": "Stability AI Community License", "cites": cites}


def _tags(owed: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((*_TAGS, *owed["tags"])))


def _front_matter(owed: Mapping[str, Any], samples: int) -> str:
    """What Hugging Face reads of a set, as YAML."""
    # Imported here: that takes a tenth of a second, and most commands write no card.
    from huggingface_hub import DatasetCardData

    address = owed["licence"] or ""
    known = _CREATIVE_COMMONS.fullmatch(address)
    other = {"license": "other", "license_link": address} if address else {"license": "unknown"}
    size = next((name for most, name in _SIZES.items() if samples < most), "1M<n<10M")
    return DatasetCardData(
        **({"license": f"cc-{known[1]}-4.0"} if known else other),
        pretty_name=TITLE,
        task_categories=["image-segmentation", "mask-generation"],
        tags=_tags(owed),
        size_categories=[size],
        configs=[{"config_name": "masklets", "data_files": layout.MANIFEST}],
    ).to_yaml()


def _quantiles(rows: pa.Table) -> Iterator[tuple[str, int, list[str]]]:
    """Of each score that accepted masklets have: name, how many have it, and its percentiles."""
    accepted = rows.filter(pc.equal(rows["status"], "accepted"))
    for score in SCORE_NAMES:
        values = accepted[score].drop_null().to_numpy()
        if len(values):
            found = np.percentile(values, _PERCENTILES)
            yield score, len(values), [f"{value:.3g}" for value in found]
