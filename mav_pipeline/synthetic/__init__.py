"""A small SA-V-layout corpus whose true alpha is known, rendered from a seed.

SampleConfig -> plan (what, where, how it moves: scene's values)
             -> backdrop, sprite (painted once a clip, from texture's pigments, natural's pictures
                or photographs; fine structure by fine, on canvas)
             -> compose (frames, visible alphas) -> annotate (masks, json) -> render (files)
"""

from mav_pipeline.synthetic.photographs import Photographs
from mav_pipeline.synthetic.render import render

__all__ = ["Photographs", "render"]
