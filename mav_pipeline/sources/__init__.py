"""Sources: list the clips of a collection, then read, check and decode one at a time.

storage -> discover() -> ClipRef -> load() -> Clip + Masklets
"""

from __future__ import annotations

from mav_pipeline.config import RunConfig
from mav_pipeline.schema.interfaces import Source
from mav_pipeline.sources.sav_eval import SavEval
from mav_pipeline.sources.sav_train import SavTrain
from mav_pipeline.storage import open_storage


def open_source(config: RunConfig) -> Source:
    """The source that ``config`` names; opens no file.

    Raises:
        ConfigError: ``source.root`` is unset or of an unsupported kind.
    """
    kinds: dict[str, type[SavTrain] | type[SavEval]] = {"sav_train": SavTrain, "sav_eval": SavEval}
    source = config.source
    storage = open_storage(source.root, "source.root", config.storage.endpoint_url)
    return kinds[source.name](storage, source, config.output.rgb)
