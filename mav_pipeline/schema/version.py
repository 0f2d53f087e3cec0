"""What changed when: the formats of sets, and what older ones mean by what they do not say.

Two kinds of numbers, both held by ``run.json``:

- The **format** is of the files: their keys, columns, members. Readers take every format up to
  ``FORMAT``; a build goes on with those in ``WRITABLE``, in their own format.
- A **revision** is of what makes values: each source, each backend and the scorer has one, raised
  by whatever moves a pixel, a score or a status under unchanged keys; part of the fingerprint.

A set that an earlier version began is finished by it, or by a later one where neither differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 2
#: Formats that a build goes on with: those whose bytes this version writes.
WRITABLE = (2,)

#: By format what it changed; docs/format.md lists it. Format 2 is open while it is worked on.
CHANGES: Mapping[int, tuple[str, ...]] = {
    1: ("the first; a set without the key `format` is of it",),
    2: (
        "`run.json`, receipts and the json of samples say their `format`",
        "`run.json` names the columns of rows, the revisions of source, backend and scorer, who is "
        "to be credited, and the resolved `matting.device` and `matting.dtype`",
        "the fingerprint covers the keys of the chosen source and backend alone, and the revisions",
        "rows and samples have the score `mask_j`",
        "rows and samples have `sampled_over`, `sampled_under`, `sampled_mismatch`, "
        "`sampled_blur`, `sampled_detail`, `sampled_smear` and `sampled_doubt`: what single "
        "colours say of a matte at source resolution; and `expected_error`, what the traits of "
        "single pixels lead to expect",
        "`shards.txt` and the `shardlist` of the index leave out shards without a sample, which it "
        "lists as `empty`",
        "`run.json` counts what the source passed over, by reason",
        "rows and `plan.parquet` have the clip's own `name`, which older sets lack",
        "FFV1 alpha is tagged as full range; its pixels are the same",
        "rows say `annotated_frames`, `annotated_run` and `void_pixels`, samples `annotated`: "
        "where somebody looked for the object; in older sets that is every frame",
        "`source.labels` and `source.void` of sources whose masks are images; older sets were read "
        "picture by picture",
        "`matting.memory_gb` and `matting.rounding` of VideoMaMa; older sets were built in batches "
        "of `matting.max_batch` at any size, and with `truncate`",
        "rows have `lost_frames` and the score `lost_share`, with a gate: `quality.max_lost_share`",
        "`provenance` of samples says `tracks` where alpha may show the object without a mask",
        "`evaluation/metrics.csv` has `truth_frames`, `grad_lr`, `dtssd_pairs`, `j`, `f` and `jf`; "
        "its `dtssd` counts 0 for the first frame; `evaluation/unseen.csv` is new",
    ),
}

#: Keys of the configuration that came later, with what sets from before were built with, such as
#: ``"matting.rounding": "truncate"``. A new key that is missing here has older sets refused.
FORMER_DEFAULTS: Mapping[str, Any] = {
    "source.stride": 1,
    "source.labels": "auto",
    "source.void": "auto",
    "quality.max_lost_share": None,
    "matting.memory_gb": 24.0,
    "matting.rounding": "truncate",
}

#: Keys that every source and every backend of format 1 was asked for, whether it used them or not.
SHARED_IN_FORMAT_1 = frozenset(
    {
        *("source.frame_step", "source.fps"),
        *("matting.band", "matting.band_min", "matting.band_max"),
        *("matting.base_model", "matting.unet", "matting.device", "matting.dtype"),
        *("matting.decode_chunk", "matting.decode_overlap", "matting.max_batch", "matting.compile"),
    }
)

#: Revisions of all sources, backends and the scorer in sets that name none.
FIRST_REVISION = 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every sample and receipt of a set carries: in which format it is, and of which build."""

    format: int
    fingerprint: str


def format_of(document: Mapping[str, Any]) -> int:
    """The format that a ``run.json``, a receipt or a sample's json says, 1 where it says none.

    Raises:
        ValueError: it is no whole number above 0.
    """
    found = document.get("format", 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"format must be a whole number above 0, not {found!r}")
    return found


def check_format(document: Mapping[str, Any], what: str) -> int:
    """As ``format_of``; raises ValueError too where the format is later than this version reads."""
    found = format_of(document)
    if found > FORMAT:
        raise ValueError(
            f"{what} is of format {found}, and this version of mav_pipeline reads up to {FORMAT}; "
            "install a later one"
        )
    return found
