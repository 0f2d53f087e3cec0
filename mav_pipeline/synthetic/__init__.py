"""A small SA-V-layout corpus whose true alpha is known, rendered from a seed.

SampleConfig -> scene (what, where, how it moves)
             -> backdrop, sprite (painted once a clip, from texture's pigments)
             -> compose (frames, visible alphas) -> annotate (masks, json) -> render (files)
"""

from mav_pipeline.synthetic.render import render

__all__ = ["render"]
