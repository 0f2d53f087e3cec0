"""The README of a trained model: what it is, what it was trained on, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = """# SAM2-Matte

SAM 2 (transformers' `Sam2VideoModel`, unchanged) trained by mav_pipeline to give alpha mattes of
video: sigmoid of its mask logits is alpha. It is prompted with an object's mask on one frame.

    mav build matting=sam2_matte matting.model=<this folder> source.root=... output.root=...

"""


def model_card(about: Mapping[str, Any], figures: Mapping[str, Any]) -> bytes:
    """The text, from what ``training.json`` says and what was measured at the end."""
    held = figures["held_out"]
    if held["samples"]:
        worth = f"MAD {held['mad']:.2f} (x 1e3) over {held['samples']} samples of held-out videos."
    else:
        worth = "No video was held out, so nothing is known of how good it is."
    parts = [
        _HEAD,
        "## Figures\n\n",
        f"{figures['steps']} steps, last loss {figures['loss']:.4f}. {worth}\n\n",
        "## Data\n\n",
        *_data(about["data"]),
        f"\nHeld out is a share of {about['held_out']['share']}: {about['held_out']['rule']}.\n\n",
        "## Weights\n\n",
        f"Begun from `{about['model']['from']}` (sha256 {about['model']['sha256']}). Meta's "
        "weights of SAM 2 and transformers, which this follows, are under Apache-2.0.\n\n",
        "## Settings\n\n| key | value |\n|---|---|\n",
        *(f"| `{key}` | `{value}` |\n" for key, value in sorted(about["settings"].items())),
    ]
    return "".join(parts).encode()


def _data(sets: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for one in sets:
        owed = one["credits"]
        licence = owed.get("licence") or "unknown"
        mattes = owed.get("weights_licence")
        made = f"; its mattes were made by models under the {mattes}" if mattes else ""
        share, print_ = one["share"], one["fingerprint"][:16]
        lines.append(f"- share {share:g}: set {print_}, clips under {licence}{made}\n")
        lines += [f"  - {work}\n" for work in owed.get("cites", ())]
    return lines
