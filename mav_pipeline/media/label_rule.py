"""What mask images mean: the one rule by which they become objects, and its words. Pure.

A **sequence** is what lies in one folder, or in one video: the label images of a clip, or the masks
of one object. What it holds is decided once for all of it, never picture by picture:

- A folder of one object holds **binary** masks, in or out. So do JPEGs and videos: compression
  leaves few values as they were drawn.
- Palettes hold **ids**: the index is the object, 0 is none, 255 void, unless it is alone. A palette
  of grays may be a gray picture in disguise, and is looked at as one first.
- Gray values are ids, unless they are soft edges. A value is a *step* of an edge if more of its
  pixels lie between a lower and a higher neighbour than amid their own; the sequence is binary if
  most values between 0 and the largest are steps. It is binary, too, if white is its one value.
  Gray has no void: 255 is white, or an object.
- Colours are ids, one each, black is none: of the PASCAL VOC colour map, which DAVIS has, by their
  place in it, with its void; others numbered from 1 in the order of red, green, blue. Where most
  colours lie on edges alone, or nothing is black, the sequence is refused.
- Opacity decides where all that can be seen has one colour: the mask is what is opaque.

``labels=ids`` takes values as they are, ``labels=binary`` cuts whatever there is. A binary mask is
cut at one half, 128 of 255, as VideoMaMa's reference does; where no value is above that and they
are no steps, all that is not 0 is in, as for SAM 2's readers. Of palettes, too, all but 0 is in.
Images of different depth are brought to the deepest; 16 bits without a value above 255 are read as
8. A number as ``void`` is out, whatever the sequence holds. What cannot be told is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mav_pipeline.media.label_survey import MOST_COLOURS, Survey

Labels = Literal["auto", "ids", "binary"]
Void = int | Literal["auto"] | None

VOID = 255  # of palettes, as in PASCAL VOC and DAVIS
_HALF = 127  # of 255
_IDS = "source.labels=ids takes values as they are"
_BINARY = "source.labels=binary takes what is bright"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What somebody says of mask images (``source.labels``, ``source.void``)."""

    labels: Labels = "auto"
    void: Void = "auto"


@dataclass(frozen=True, slots=True)
class Reading:
    """How each image of a sequence is read.

    Attributes:
        by: what of an image counts.
        nonzero: of binary ones: in is whatever is not 0, not what is above half.
        top: of gray ids: the deepest depth, by its largest value.
        narrow: 16 bits are read as 8.
        void: the value of gray, index or opacity that is out.
    """

    holds: Literal["ids", "binary"]
    by: Literal["gray", "index", "colour", "opacity"]
    nonzero: bool = False
    top: int = 255
    narrow: bool = False
    void: int | None = None


def decide(survey: Survey, rule: LabelRule, one: bool) -> Reading | str | None:
    """What the images so far hold: None where they hold nothing, a text where it cannot be told."""
    void = rule.void if isinstance(rule.void, int) else None
    binary = one or rule.labels == "binary"
    if survey.transparent and (binary or (rule.labels == "auto" and survey.is_of_one_colour)):
        least = np.flatnonzero(survey.opacities)[-1] <= _HALF
        return Reading("binary", "opacity", nonzero=bool(least), void=void)
    if not survey.forms:
        return None
    if survey.lossy and rule.labels == "ids" and not one:
        return "a JPEG or a video holds no ids, for compression mixes them; source.labels=binary"
    indexed = "palette" in survey.forms and not survey.all_shades
    if "palette" in survey.forms and (indexed or "colour" in survey.forms):
        if binary:
            return _of_palettes(survey, rule, void)
        if len(survey.forms) > 1:
            kinds = " and ".join(sorted(survey.forms))
            return f"images of {kinds} lie in one folder; {_BINARY}"
        return Reading("ids", "index", void=void)
    if "colour" in survey.forms and not binary:
        return _of_colours(survey, rule)
    return _of_grays(survey, rule, one, void)


def _of_palettes(survey: Survey, rule: LabelRule, void: int | None) -> Reading:
    """Binary palettes: in is every index but 0, and void where there is another."""
    found = set(np.flatnonzero(survey.indices).tolist()) - {0}
    if rule.void == "auto" and found != {VOID}:
        void = VOID
    return Reading("binary", "index", nonzero=True, void=void)


def _of_colours(survey: Survey, rule: LabelRule) -> Reading | str:
    """Label images in colours."""
    colours = set(survey.colours) - {0}
    if survey.lossy:
        return "JPEGs or videos in colours hold no ids, for compression mixes them; " + _BINARY
    if len(survey.colours) > MOST_COLOURS:
        return f"images in colours hold more than {MOST_COLOURS} of them; {_BINARY}"
    if rule.labels == "auto" and sum(survey.insides[c] == 0 for c in colours) * 2 > len(colours):
        return f"images hold {len(colours)} colours, most of them on edges alone; {_BINARY}"
    if rule.labels == "auto" and 0 not in survey.colours:
        return "images in colours have no black, so what is no object cannot be told; " + _BINARY
    return Reading("ids", "colour")


def _of_grays(survey: Survey, rule: LabelRule, one: bool, void: int | None) -> Reading | str:
    """Gray images, palettes of grays, and colours that shall be cut."""
    tally, narrow = survey.grays(), survey.is_narrow
    top = len(tally.pixels) - 1
    values = np.flatnonzero(tally.pixels)
    values = values[(values > 0) & (values != void)]
    largest = int(values.max(initial=0))
    inner = values[:-1]
    steps = int((tally.between[inner] > tally.amid[inner]).sum())
    is_bright, is_soft = 2 * largest > top, 2 * steps > len(inner)
    ids = Reading("ids", "gray", top=top, narrow=narrow, void=void)
    if survey.forms == {"palette"}:
        ids = Reading("ids", "index", void=void)
    if rule.labels == "ids" and not one:
        return ids
    is_dim = not (is_bright or survey.lossy)
    cut = Reading("binary", "gray", nonzero=is_dim, narrow=narrow, void=void)
    if is_soft and is_dim:
        what = f"masks hold {len(values)} values, most on edges, the largest {largest} of {top}"
        return f"{what}; {_IDS}"
    if one or rule.labels == "binary" or is_soft or survey.lossy:
        return cut
    is_white = largest in (0, top) and len(inner) == 0 and ids.by == "gray"
    return cut if is_white else ids
