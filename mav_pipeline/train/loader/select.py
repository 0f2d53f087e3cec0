"""What of a finished set is loaded: items by their manifest rows, before any shard is opened."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import read_run
from mav_pipeline.dataset.gate_files import read_gate
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.schema import JUDGED, SCORE_NAMES
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.schema.registry import nearest
from mav_pipeline.schema.statuses import stored
from mav_pipeline.storage import Storage
from mav_pipeline.train.loader.split import Split

Per = Literal["masklet", "clip"]
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which masklets are wanted.

    Attributes:
        status: of their rows; ``rejected`` ones are stored where ``quality.keep_rejected`` was on.
        gate: a name of ``mav regate``, whose statuses then stand in for those of the build.
        scores: smallest and largest value by score, both inclusive, None for no bound; a score that
            a masklet does not have (one visible frame has no flicker) lets it pass.
        least_frames: consecutive frames that there must be to take from.
        annotated_only: whether only those on which somebody looked for the object are taken; of
            clips as a whole just masklets that are annotated on every frame are.
        split: the part of the videos that is taken; None for all.
    """

    status: tuple[str, ...] = ("accepted",)
    gate: str | None = None
    scores: Mapping[str, Bounds] = field(default_factory=dict)
    least_frames: int = 0
    annotated_only: bool = True
    split: Split | None = None

    def __post_init__(self) -> None:
        for status in self.status:
            if status not in JUDGED:
                hint = nearest(status, JUDGED)
                raise ConfigError(f"status={status!r} has no alpha: accepted or rejected{hint}")
        for score in self.scores:
            if score not in SCORE_NAMES:
                raise ConfigError(
                    f"scores: there is no score {score!r}{nearest(score, SCORE_NAMES)}"
                )


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes one sample: the wanted masklets of a clip, just one where samples are theirs."""

    key: str
    masklets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The wanted part of a set.

    Attributes:
        items: in the order of the shards.
        shards: (N,) index into ``tars`` of each item, ascending.
        tars: paths below the set's root.
        rgb: whether samples hold RGB (``output.rgb`` is not ``none``).
    """

    items: tuple[Item, ...]
    shards: NDArray[np.int64]
    tars: tuple[str, ...]
    rgb: bool


def select(storage: Storage, per: Per, wanted: Filter) -> Selection:
    """Reads what describes the set as a whole, and keeps the rows that ``wanted`` lets pass.

    Raises:
        ConfigError: nothing passes, or it passes what the shards do not hold.
        OutputError: the set is not finished, cannot be read, or names a shard that is none.
    """
    output, quality = _config(storage, "output"), _config(storage, "quality")
    try:
        tars = _tars(storage.read(layout.INDEX))
        rows = decode_rows(storage.read(layout.MANIFEST))
    except FileNotFoundError as error:
        raise OutputError(f"{storage} is not finished; `mav build` ends it") from error
    except ValueError as error:  # pa.ArrowInvalid is one
        raise OutputError(f"{storage} cannot be read: {error}") from error
    kept = stored(quality["keep_rejected"])
    is_stored = pc.is_in(rows["status"], pa.array(kept))
    if wanted.gate is not None:
        rows = read_gate(storage, wanted.gate).apply(rows)
    passes = _passes(rows, wanted, per)
    if pc.any(pc.and_not(passes, is_stored)).as_py():
        raise ConfigError(
            f"status={wanted.status}: {storage} was built without quality.keep_rejected, so the "
            "alpha of rejected masklets is not in it; ask for accepted ones"
        )
    rows = rows.select(("key", "masklet", "shard")).filter(passes)
    if wanted.split is not None:
        rows = rows.filter(pa.array(map(wanted.split.takes, rows["key"].to_pylist()), pa.bool_()))
    if not rows.num_rows:
        raise ConfigError(f"no masklet in {storage} passes {wanted}")
    places = {layout.shard_of_data(tar): place for place, tar in enumerate(tars)}
    items, shards = [], []
    for shard, item in _items(rows, per):
        if shard not in places:
            raise OutputError(f"{layout.MANIFEST} in {storage} names {shard!r}, the index does not")
        items.append(item)
        shards.append(places[shard])
    if shards != sorted(shards):
        raise OutputError(f"{layout.MANIFEST} in {storage} is not in the order of {layout.INDEX}")
    return Selection(tuple(items), np.array(shards), tars, output["rgb"] != "none")


def _config(storage: Storage, group: str) -> Mapping[str, Any]:
    run = read_run(storage)
    if run is None:
        raise OutputError(f"{storage} holds no set: it has no {layout.RUN}")
    return run["config"][group]  # type: ignore[no-any-return]


def _tars(index: bytes) -> tuple[str, ...]:
    """The shards that an index lists. Raises ValueError where one has no name of a shard."""
    try:
        urls = [entry["url"] for entry in json.loads(index)["shardlist"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{layout.INDEX} is no index of a set: {error!r}") from error
    for url in urls:
        is_shard = isinstance(url, str) and url.endswith(".tar") and layout.shard_of_data(url)
        if not is_shard:
            raise ValueError(
                f"{layout.INDEX} names {url!r}, which is no shard; it must be a relative "
                f"name such as {layout.SHARDS}/mav-000000-0123456789abcdef.tar"
            )
    return tuple(urls)


def _passes(rows: pa.Table, wanted: Filter, per: Per) -> Any:
    """(N,) whether each row is wanted."""
    passes = pc.is_in(rows["status"], pa.array(wanted.status))
    passes = pc.and_(passes, pc.is_valid(rows["masklet"]))
    frames = pc.fill_null(rows["frames"], 0)
    if wanted.annotated_only:
        #: Sets without the column are annotated everywhere.
        run = pc.coalesce(rows["annotated_run"], frames)
        least = frames if per == "clip" else max(1, wanted.least_frames)
        passes = pc.and_(passes, pc.greater_equal(run, least))
    passes = pc.and_(passes, pc.greater_equal(frames, wanted.least_frames))
    for score, (least, most) in wanted.scores.items():
        for bound, holds in ((least, pc.greater_equal), (most, pc.less_equal)):
            if bound is not None:
                passes = pc.and_(passes, pc.fill_null(holds(rows[score], bound), True))
    return passes


def _items(rows: pa.Table, per: Per) -> Iterator[tuple[str, Item]]:
    columns = (rows[name].to_pylist() for name in ("shard", "key", "masklet"))
    triples = zip(*columns, strict=True)
    for (shard, key), group in itertools.groupby(triples, key=lambda row: row[:2]):
        names = tuple(name for _, _, name in group)
        for masklets in [names] if per == "clip" else [(name,) for name in names]:
            yield shard, Item(key, masklets)
