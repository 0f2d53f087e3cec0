"""Why a clip or a masklet was turned away, or what a row shall be remembered for: every slug.

A row's ``reasons`` hold slugs of this table and of the source or backend that made it; whoever uses
another makes an error. What a person may do about each stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: Whose doing it is: the input's; a guard's or a choice's of the configuration; a gate's; the
#: backend's; the run's (machines and faults); a note is no fault, its masklet may be accepted.
Fault = Literal["input", "choice", "gate", "backend", "run", "note"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One slug: what it means, whose doing it is, and the way out."""

    slug: str
    fault: Fault
    meaning: str
    way_out: str


_REPAIR = "repair or replace the file, then resume.rebuild=failed_clips"

REASONS = (
    # the listing
    Reason("bad_id", "input", "its id has characters other than A-Z a-z 0-9 _ -", "rename it"),
    Reason("duplicate_id", "input", "another clip has its id", "rename or remove one of them"),
    Reason("no_video", "input", "masks lie without a video or frames", "add what is missing"),
    Reason("no_annotation", "choice", "the masks asked for are not there", "source.masklets=..."),
    Reason("frame_name", "input", "an image is not named by frame and object number", "rename it"),
    Reason("two_files", "input", "two files or folders could be meant", "remove one of them"),
    Reason("frame_shift", "input", "masks are numbered off their frames", "rename them"),
    Reason("torn_tar", "input", "its tar is damaged, or clips of it may be missing", _REPAIR),
    # reading
    Reason("missing", "input", "a file is gone since the plan was made", "put it back"),
    Reason("changed", "input", "a file changed since the plan was made", _REPAIR),
    Reason("unreadable", "input", "a file may not be read", "grant the permission"),
    Reason("truncated", "input", "a file is shorter than planned", _REPAIR),
    Reason("empty", "input", "a file has no bytes; of a masklet: seen on no frame", _REPAIR),
    # decoding
    Reason("corrupt", "input", "a video or an image cannot be decoded", _REPAIR),
    Reason("rotation", "input", "it is shown at an angle that is no right one", "turn its pixels"),
    Reason("size_changes", "input", "its frames are not all of one size", "split the clip"),
    Reason("too_small", "input", "a side has fewer than 16 pixels", "leave it out"),
    Reason("frame_count", "input", "video and annotation differ in frames", "source.frame_step"),
    # masks
    Reason("json", "input", "an annotation is not in SA-V's form", _REPAIR),
    Reason("no_frames", "input", "no frame is annotated", "leave it out"),
    Reason("no_masklets", "choice", "the annotation has no object", "leave it out"),
    Reason("frame_size", "input", "annotation and video differ in size", _REPAIR),
    Reason("rle", "input", "a mask is no COCO run lengths", _REPAIR),
    Reason("rle_size", "input", "a mask is of another size than its video", _REPAIR),
    Reason("rle_sum", "input", "run lengths do not sum to the frame's pixels", _REPAIR),
    Reason("mask_png", "input", "a mask image cannot be decoded", _REPAIR),
    Reason("mask_labels", "input", "what mask images hold cannot be told", "source.labels=..."),
    Reason("mask_size", "input", "a mask image is of another size than its frame", _REPAIR),
    Reason("by_order", "note", "masks were matched in order, for numbers or rates differ", "none"),
    Reason("from_zero", "note", "masks from 1 on were taken for frames from 0 on", "number from 0"),
    Reason("mask_scaled", "note", "masks of another size were scaled to the frames'", "none"),
    Reason("partly_annotated", "note", "on some frames nobody looked for the object", "none"),
    # guards
    Reason("max_pixels", "choice", "its frames are too large", "raise source.max_pixels"),
    Reason("max_frames", "choice", "too many frames are annotated", "raise source.max_frames"),
    Reason("max_bytes", "choice", "a file is too large", "raise source.max_bytes"),
    Reason("speck", "choice", "the masklet is never large enough", "lower source.min_area"),
    # matting
    Reason("solver_fallback", "note", "on some frame the mask's ramp stands for alpha", "none"),
    Reason("not_finite", "backend", "the model gave no numbers", "matting.dtype=float32"),
    Reason("black", "backend", "the model gave nothing on a clear mask", "look at the mask"),
    Reason("latent_limit", "backend", "too many pixels for the model", "matting.size=fit"),
    Reason("device_memory", "backend", "no room on the device", "lower matting.max_pixels"),
    # gates
    Reason("outside_mass", "gate", "alpha beyond the mask", "quality.max_outside_mass"),
    Reason("core_loss", "gate", "holes inside the mask", "quality.max_core_loss"),
    Reason("area_ratio_low", "gate", "less alpha than mask", "quality.min_area_ratio"),
    Reason("area_ratio_high", "gate", "more alpha than mask", "quality.max_area_ratio"),
    Reason("flicker", "gate", "alpha changes and its mask does not", "quality.max_flicker"),
    Reason("lost_frames", "gate", "a tracker lost the object in view", "quality.max_lost_share"),
    Reason("quality", "gate", "estimated to be wrong", "quality.min_quality"),
    # the run
    Reason("crash", "run", "two workers died of it alone", "look at the file; then rebuild"),
    Reason("host_memory", "run", "it needs more memory than a node has", "larger nodes; rebuild"),
    Reason("unexpected", "run", "code met what it was not written for", "report it; then rebuild"),
)

SLUGS = frozenset(reason.slug for reason in REASONS)


def known(slug: str, others: Iterable[Reason] = ()) -> bool:
    """Whether a row may have this reason.

    Args:
        others: what the source or backend at work adds.
    """
    return slug in SLUGS or any(reason.slug == slug for reason in others)
