"""A finished set in the layouts that other tools read, one clip in memory at a time.

    BuiltSet -> pick (which masklets) -> run --- clip: what a sample stores, decoded
    Target   <- its files            <- run --- layouts: videomama, sav_val, preview

A clip is there when its receipt is, so whatever breaks off goes on, and repeating does nothing.
"""

from mav_pipeline.export.run import Exported, export
from mav_pipeline.export.target import Target

__all__ = ["Exported", "Target", "export"]
