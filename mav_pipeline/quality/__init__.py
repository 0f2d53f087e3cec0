"""No-reference scores of a matte, one quality made of them, and the gates that judge it. Pure."""

from mav_pipeline.quality.gates import judge
from mav_pipeline.quality.lost import LostFrames
from mav_pipeline.quality.scorer import Scorer

__all__ = ["LostFrames", "Scorer", "judge"]
