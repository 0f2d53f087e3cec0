"""The clips of footage as a plan holds them: with a safe key, and what is wrong by names alone."""

from __future__ import annotations

from collections.abc import Iterator

from mav_pipeline.schema import ClipRef, Problem
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.keys import safe_key
from mav_pipeline.sources.about import about_place
from mav_pipeline.sources.endings import is_picture, is_video, kind_of
from mav_pipeline.sources.footage.files import mask_groups, numbered
from mav_pipeline.sources.footage.pairs import Pair, pairs
from mav_pipeline.sources.listing import Found, Listing, torn

#: Folders of the layout that ``source=sav_eval`` reads.
_EVAL = ("JPEGImages", "Annotations")


def footage_clips(listing: Listing) -> list[ClipRef]:
    """The clips of a collection, those with a problem included; counts what belongs to none."""
    about = {place: file for file in listing.files if (place := about_place(file.path))}
    ours = [file for file in listing.files if _is_ours(file)]
    found, mattes = pairs(ours)
    clips, taken = [], {file.path: "alpha" for file in mattes}
    for pair in found:
        said = about.get(_place(pair))
        files = (*pair.pictures, *pair.masks, *([said] if said else []))
        taken |= dict.fromkeys((file.path for file in files), "")
        clips.append(_clip(pair, said, listing))
    for file in listing.files:
        if why := taken.get(file.path, _why(file)):
            listing.passing.add(why, file.path)
    return clips


def _is_ours(file: Found) -> bool:
    return (is_video(file.name) or is_picture(file.name)) and not _is_eval(file)


def _is_eval(file: Found) -> bool:
    return any(part.startswith(_EVAL) for part in file.path.split("/")[:-1])


def _why(file: Found) -> str:
    if _is_eval(file):
        return "other_layout"
    return "unknown" if is_video(file.name) else kind_of(file.name)


def _place(pair: Pair) -> tuple[str, str]:
    """Where a file that speaks of a clip of VideoMaMa's layout would lie; see ``about_place``."""
    folders = pair.pictures[0].path.split("/")[:-3] if pair.pictures else []
    return "/".join([*folders, pair.name]), pair.name


def _clip(pair: Pair, said: Found | None, listing: Listing) -> ClipRef:
    role = "video" if pair.pictures and is_video(pair.pictures[0].name) else "frame"
    refs = (
        *(file.ref(role) for file in pair.pictures),
        *(file.ref("mask") for file in pair.masks),
        *([said.ref("about")] if said else []),
    )
    key = safe_key(pair.name)
    clip = ClipRef(key, refs, name=None if key == pair.name else pair.name)
    tear = listing.tears.get(refs[0].uri)
    at_end = tear is not None and any(ref.name == tear.last for ref in refs)
    if tear is not None and (at_end or not (pair.pictures and pair.masks)):
        problem: Problem | None = torn(tear, f"{pair.name} is not whole")
    else:
        problem = next(_problems(pair, clip), None)
    return ClipRef(key, refs, problem, clip.name)


def _problems(pair: Pair, clip: ClipRef) -> Iterator[Problem]:
    """What is wrong with a clip by its files' names, the worst first."""
    if pair.doubt:
        yield Problem("failed", "two_files", f"plan of mask: {pair.doubt}")
    if not pair.pictures or pair.is_mask:
        lies = (pair.masks or pair.pictures)[0].ref("mask").label
        cause = f"{lies} lies without the video or the frames that it masks"
        yield Problem("failed", "no_video", f"plan of video: {cause}")
    if not pair.masks:
        yield Problem("skipped", "no_annotation", f"plan of mask: {_lacks(pair)}")
    if not all(file.is_utf8 for file in (*pair.pictures, *pair.masks)):
        cause = f"a name of {pair.name} is no UTF-8, and so cannot be written down: rename it"
        yield Problem("failed", "bad_id", f"plan of video: {cause}")
    if pair.pictures and pair.masks and not pair.doubt:
        try:
            if clip.role("frame"):
                numbered(clip.role("frame"))
            mask_groups(clip)
        except InputError as error:
            yield Problem(error.status, error.reason, str(error))


def _lacks(pair: Pair) -> str:
    if is_video(pair.pictures[0].name):
        name = pair.pictures[0].name.rpartition("/")[2]
        return f"beside {name} there are no masks: no {pair.name}/, no {pair.name}_mask"
    return (
        f"{pair.name}/ holds {len(pair.pictures)} pictures, and beside it is neither a video of "
        f"that name, whose masks they would be, nor {pair.name}_mask"
    )
