"""A finished set as a torch dataset: what a trainer imports, and nothing in the pipeline does.

    select (rows -> items) -> order (seed, epoch, node, worker) -> tars -> shuffle -> sample (crops)

Only relative shard names of our own form are opened, and only our own members decoded, by our own
decoders: a set from outside can run no code here.
"""

from __future__ import annotations

from mav_pipeline.schema.errors import lacks
from mav_pipeline.train.loader.backgrounds import Backgrounds
from mav_pipeline.train.loader.sample import MatteSample

try:
    from mav_pipeline.train.loader.matte_dataset import MatteDataset
except ModuleNotFoundError as error:
    raise lacks("mav_pipeline.train.loader", "train") from error

__all__ = ["Backgrounds", "MatteDataset", "MatteSample"]
