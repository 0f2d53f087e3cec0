"""One quality in [0, 1] from a matte's scores, by a published rule. Pure.

    S = sum over terms of weight x how far the score has gone wrong     error where there is a mask
    E = (1 - lost) S + lost                                             estimated error
    quality = 1 / (1 + (E / HALF)^2)

E estimates sum |alpha - truth| / sum truth. Weights are not negative, so that no term can make up
for another, and were fitted to rendered clips whose truth is known, with faithful masks and poor
ones: ``python -m scripts.calibration`` writes them, ``docs/quality.md`` says how well it works.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

#: The estimated error at which quality is one half. The truth itself is taken for wrong by .02 to
#: .1, where scores see little of fine structure; with the square it keeps a quality of about .9.
HALF = 0.25


@dataclass(frozen=True, slots=True)
class Term:
    """How far a score has gone wrong: its distance beyond ``start`` on the bad side, capped.

    Attributes:
        sign: 1 where large is bad, -1 where small is.
        cap: of the distance: beyond it a matte is not worse but merely lost.
    """

    score: str
    sign: int
    start: float
    cap: float

    @property
    def name(self) -> str:
        return f"{self.score} {'above' if self.sign > 0 else 'below'} {self.start:g}"

    def __call__(self, scores: Mapping[str, float | None]) -> float:
        """0 where there is nothing to look at."""
        value = scores[self.score]
        return 0.0 if value is None else min(max(self.sign * (value - self.start), 0.0), self.cap)


#: What may count. Agreement with the mask beyond its border zone is no quality and no term, nor is
#: softness: neither tells a good matte of a poor mask, or of hair, from a bad one.
TERMS = (
    Term("outside_mass", 1, 0.1, 1.0),  # less lies beyond coarse masks, by right, of true mattes
    Term("core_loss", 1, 0.0, 1.0),
    Term("area_ratio", 1, 1.0, 4.0),
    Term("area_ratio", -1, 1.0, 1.0),
    Term("visibility", -1, 1.0, 1.0),
    Term("area_jitter", 1, 0.06, 1.0),  # of true mattes 97% are below, by what masks do
    Term("speckle", 1, 0.08, 1.0),  # of true mattes nine tenths are below; mesh is not
    Term("sampled_over", 1, 0.0, 2.0),
    Term("sampled_under", 1, 0.0, 2.0),
    Term("sampled_mismatch", 1, 0.0, 2.0),
    Term("sampled_blur", 1, 0.0, 2.0),
    Term("sampled_detail", 1, 0.0, 2.0),
    Term("sampled_smear", 1, 0.0, 2.0),
    Term("sampled_doubt", 1, 0.0, 2.0),
    Term("expected_error", 1, 0.0, 2.0),
    Term("motion_flicker", 1, 0.0, 2.0),
)


def load_weights() -> dict[str, float]:
    """The fitted weight of each term, by its name."""
    text = resources.files("mav_pipeline.quality").joinpath("weights.json").read_text("utf-8")
    return {str(name): float(weight) for name, weight in json.loads(text).items()}


_WEIGHTS = load_weights()


def estimated_error(scores: Mapping[str, float | None]) -> float:
    """Sum |alpha - truth| / sum truth, as far as the scores can tell; 0 or more."""
    seen = sum(_WEIGHTS[term.name] * term(scores) for term in TERMS)
    lost = _lost(scores)
    return (1 - lost) * seen + lost


def _lost(scores: Mapping[str, float | None]) -> float:
    """Share of frames whose mask was lost; all of their alpha is missing, so no weight is fitted.

    Frames that have a mask and no alpha are seen by ``visibility`` already.
    """
    lost, visible = scores.get("lost_share"), scores.get("visibility")
    return 0.0 if lost is None or visible is None else max(0.0, lost - (1 - visible))


def quality(scores: Mapping[str, float | None]) -> float:
    """In [0, 1]: 1 where no score finds fault, one half at an estimated error of ``HALF``."""
    return quality_of(estimated_error(scores))


def quality_of(error: float) -> float:
    """What an estimated error is as a quality."""
    return 1 / (1 + (error / HALF) ** 2)
