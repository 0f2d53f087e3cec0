"""Builds video-matting datasets from real video; see the README for the two commands.

    config -> sources -> planning -> runtime -> build (matting, quality) -> dataset -> use

To read a set from Python:

    import mav_pipeline

    data = mav_pipeline.open_set("mav-out")
    table = data.scores()
    for sample in data.samples():
        alphas = sample.alpha(sample.masklets[0])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mav_pipeline.dataset.reader import MattingSet, StoredSample, open_set

__version__ = "0.2.0"
__all__ = ["MattingSet", "StoredSample", "__version__", "open_set"]


def __getattr__(name: str) -> Any:
    """What reads sets is imported where somebody asks for it: nothing that builds needs it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mav_pipeline.dataset import reader

    return getattr(reader, name)
