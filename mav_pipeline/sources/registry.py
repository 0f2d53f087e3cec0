"""Which sources there are. One line each; other packages add theirs by entry points.

[project.entry-points."mav_pipeline.sources"]
theirs = "their_package.source:KIND"
"""

from __future__ import annotations

from mav_pipeline.config import RunConfig
from mav_pipeline.schema.interfaces import Source
from mav_pipeline.schema.kinds import Kinds
from mav_pipeline.sources import sav_eval, sav_train
from mav_pipeline.sources.footage import source as footage
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.storage import open_storage

SOURCES: Kinds[SourceKind] = Kinds(
    "source", (sav_train.KIND, sav_eval.KIND, footage.KIND), group="mav_pipeline.sources"
)


def open_source(config: RunConfig) -> Source:
    """The source that ``config`` names; opens no file.

    An output that lies below the source is none of it: its tars would be taken for new clips.

    Raises:
        ConfigError: ``source.root`` is unset or of an unsupported kind.
    """
    source = config.source
    storage = open_storage(
        source.root,
        "source.root",
        config.storage.endpoint_url,
        besides=config.output.root,
    )
    return SOURCES.get(source.name).open(storage, source, config.output.rgb)
