"""Which backends there are. One line each; other packages add theirs by entry points.

[project.entry-points."mav_pipeline.matting"]
theirs = "their_package.backend:KIND"
"""

from __future__ import annotations

from mav_pipeline.config import MattingConfig
from mav_pipeline.matting import binary, closed_form
from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.matting.sam2_matte import kind as sam2_matte
from mav_pipeline.matting.videomama import kind as videomama
from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.schema.kinds import Kinds

BACKENDS: Kinds[BackendKind] = Kinds(
    "matting",
    (closed_form.KIND, videomama.KIND, sam2_matte.KIND, binary.KIND),
    group="mav_pipeline.matting",
)


def open_backend(config: MattingConfig, endpoint_url: str | None = None) -> MattingBackend:
    """The backend that ``config`` names; loads nothing."""
    return BACKENDS.get(config.name).open(config, endpoint_url)
