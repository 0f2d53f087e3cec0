"""Ways to spoil a matte, each with strengths from what nobody sees to what nobody misses. Pure.

case -> shapes (where it is), tones (its levels), changes (over time)
"""

from __future__ import annotations

from . import changes, shapes, tones
from .case import Case, Damage
from .changes import WINDOWS

__all__ = ["FIT", "JUDGE", "WINDOWS", "Case", "Damage"]

#: Damage -> strengths: lengths / sqrt(object area), shares of frames, shares of alpha. What is
#: judged and not fitted are whole kinds.
FIT: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "blur": (tones.blur, (0.003, 0.006, 0.012, 0.03, 0.08)),
    "coarse": (tones.coarse, (0.006, 0.012, 0.03, 0.06)),
    "fog": (tones.fog, (0.006, 0.012, 0.025, 0.05)),
    "halo": (tones.halo, (0.004, 0.01, 0.025, 0.06)),
    "haze": (tones.haze, (0.005, 0.02, 0.06, 0.2)),
    "noise": (tones.noise, (0.01, 0.04, 0.12)),
    "blotches": (tones.blotches, (0.03, 0.1, 0.25)),
    "hard": (tones.hard, (0.3, 1.0, 4.0)),
    "towards mask": (tones.towards_mask, (0.1, 0.3, 0.6)),
    "towards closed_form": (tones.towards_closed_form, (0.2, 0.6)),
    "erosion": (shapes.erosion, (0.003, 0.01, 0.02, 0.05)),
    "dilation": (shapes.dilation, (0.003, 0.01, 0.02, 0.05)),
    "shift": (shapes.shift, (0.002, 0.005, 0.012, 0.03, 0.1)),
    "scaled": (shapes.scaled, (0.005, 0.015, 0.05)),
    "thin lost": (shapes.thin_lost, (0.004, 0.01, 0.025)),
    "gaps filled": (shapes.gaps_filled, (0.004, 0.01, 0.03)),
    "islands": (shapes.islands, (0.02, 0.05, 0.12)),
    "holes": (shapes.holes, (0.02, 0.05, 0.15)),
    "dropped": (changes.dropped, (0.25, 0.5, 1.0)),
    "wrong instance": (changes.wrong_instance, (0.1, 0.6)),
    "lag": (changes.lag, (0.1, 0.4, 1.0)),
    "flicker": (changes.flicker, (0.02, 0.08, 0.3)),
    "trembling": (changes.trembling, (0.004, 0.015, 0.04)),
}
JUDGE: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "bleed": (shapes.bleed, (0.01, 0.03, 0.08)),
    "cut": (shapes.cut, (0.02, 0.06, 0.2)),
    "warp": (shapes.warp, (0.004, 0.01, 0.03)),
    "gamma": (tones.gamma, (0.4, 0.8, 1.25, 2.5)),
    "threshold": (tones.threshold, (0.2, 0.5, 0.8)),
    "guided": (tones.guided, (0.01, 0.03, 0.08)),
    "compressed": (tones.compressed, (20, 60, 90)),
    "breathing": (changes.breathing, (0.01, 0.03)),
    "resets": (changes.resets, (0.004, 0.015, 0.04)),
}
