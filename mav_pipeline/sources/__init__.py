"""Sources: list the clips of a collection, then read, check and decode one at a time.

storage -> discover() -> ClipRef -> load() -> Clip + Masklets
"""

from __future__ import annotations

from mav_pipeline.config import OutputConfig, SourceConfig
from mav_pipeline.interfaces import Source
from mav_pipeline.sources.sav_eval import SavEval
from mav_pipeline.sources.sav_train import SavTrain
from mav_pipeline.storage import open_storage


def open_source(config: SourceConfig, output: OutputConfig) -> Source:
    """The source that ``config`` names; opens no file.

    Raises:
        ConfigError: ``source.root`` is unset or of an unsupported kind.
    """
    kinds: dict[str, type[SavTrain] | type[SavEval]] = {"sav_train": SavTrain, "sav_eval": SavEval}
    return kinds[config.name](open_storage(config.root, "source.root"), config, output.rgb)
