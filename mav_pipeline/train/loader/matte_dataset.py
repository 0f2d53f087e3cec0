"""The dataset that a DataLoader takes: reads the shards of a set in step with its other readers.

The one module that imports torch as it is imported: a DataLoader tells how to read a dataset by
its class, so that must be derived from torch's. webdataset comes along, so that a trainer without
it hears of that at once and not from a worker. Nothing else in the package imports this module.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info
from webdataset import filters

from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.schema import Frame, Members
from mav_pipeline.schema.errors import ConfigError, InputError, OutputError
from mav_pipeline.storage import open_storage
from mav_pipeline.train.loader.backgrounds import Backgrounds
from mav_pipeline.train.loader.order import epoch_order, share
from mav_pipeline.train.loader.sample import MatteSample, SampleMaker
from mav_pipeline.train.loader.select import Bounds, Filter, Item, Per, select
from mav_pipeline.train.loader.split import Split


class _Found(NamedTuple):
    """An item with its place in the epoch, the tar it was read from, and its clip's members."""

    place: int
    item: Item
    tar: str
    members: Members


class MatteDataset(IterableDataset[MatteSample]):
    """Crops of a finished set, each exactly once an epoch over all nodes and workers.

    Rows are filtered first, so ``len`` is known and no shard is opened in vain. Nodes and workers
    then share the items evenly, whatever the number of shards: two may read parts of one. Nodes'
    shares differ by one sample at the most; where that matters, as under DDP, use ``draws``.
    Samples depend on settings, seed, epoch and place in the epoch alone, not on who reads them.

    Args:
        root: a finished set: a folder, or ``s3://bucket/prefix``.
        endpoint_url: of an S3-compatible server; credentials come from the standard AWS chain.
        per: a sample is a ``masklet``, or a ``clip`` with all its wanted masklets; their number
            differs, so load those with ``batch_size=None``.
        frames: consecutive annotated frames a sample; None takes whole clips, which do not stack.
        size: (H, W) that samples are brought to: the largest part of the frame with this ratio of
            sides, scaled; None leaves them as they are, which stack only if clips are of one size.
        crop: ``random`` takes runs in which the object is seen and parts from anywhere, ``start``
            the first frames and the middle, ``seen`` is random too but begins on a frame that shows
            the object; where its clip then ends too soon the last frame is held.
        short: what becomes of clips with fewer than ``frames``: ``skip`` leaves them out of the
            set, ``repeat`` holds their last frame.
        annotated: ``only`` keeps to frames on which somebody looked for the object, and clips that
            are samples as a whole to masklets that are annotated throughout; ``any`` takes others
            too, for sets of a backend that tracks objects. Where frames are left out, the longest
            run of the others is the clip.
        status, gate, scores, split: which masklets; see ``Filter``.
        backgrounds: adds ``composite``; see ``Backgrounds``. Each sample draws one.
        shuffle: samples in the buffer that they are drawn from at random, in each worker; shards
            change places too. They wait encoded: RGB and alpha of a whole clip, mostly 5 to 15 MB.
            0 keeps the order of the set.
        draws: samples an epoch, over all nodes, drawn with replacement; None takes each once.
        seed: of order, crops and backgrounds.
        node: (rank, number of nodes); None asks torch.distributed, then the environment that
            torchrun sets (RANK, WORLD_SIZE), and else takes all.

    Raises:
        ConfigError: a setting is wrong, or nothing passes the filter.
        OutputError: there is no finished set; also while it is read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        endpoint_url: str | None = None,
        per: Per = "masklet",
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        crop: Literal["random", "start", "seen"] = "random",
        short: Literal["skip", "repeat"] = "skip",
        annotated: Literal["only", "any"] = "only",
        status: tuple[str, ...] = ("accepted",),
        gate: str | None = None,
        scores: Mapping[str, Bounds] | None = None,
        split: Split | None = None,
        backgrounds: str | Path | Iterable[tuple[int, int, int] | Frame] | None = None,
        shuffle: int = 0,
        draws: int | None = None,
        seed: int = 0,
        node: tuple[int, int] | None = None,
    ) -> None:
        _check("per", per, per in ("masklet", "clip"), "masklet or clip")
        _check("frames", frames, frames is None or frames > 0, "None, or at least 1")
        _check("size", size, size is None or min(size) > 0, "None, or (H, W) in pixels")
        _check("crop", crop, crop in ("random", "start", "seen"), "random, start or seen")
        _check("short", short, short in ("skip", "repeat"), "skip or repeat")
        _check("annotated", annotated, annotated in ("only", "any"), "only or any")
        _check("shuffle", shuffle, shuffle >= 0, "0, or the size of a buffer")
        _check("draws", draws, draws is None or draws > 0, "None, or at least 1")
        _check("seed", seed, seed >= 0, "0 or more")
        self._node = _find_node() if node is None else node
        _check("node", node, 0 <= self._node[0] < self._node[1], "(rank, number of nodes)")
        one = per == "masklet"
        _check("backgrounds", backgrounds, backgrounds is None or one, 'None with per="clip"')
        self._root, self._endpoint_url = str(root), endpoint_url
        self._shuffle, self._draws, self._seed = shuffle, draws, seed
        wanted = Filter(
            status=status,
            gate=gate,
            scores=scores or {},
            split=split,
            least_frames=frames if frames and short == "skip" else 0,
            annotated_only=annotated == "only",
        )
        self._selection = select(self._open(), per, wanted)
        if backgrounds is not None and not self._selection.rgb:
            raise ConfigError("backgrounds need RGB; the set was built with output.rgb=none")
        self._maker = SampleMaker(
            per=per,
            frames=frames,
            size=size,
            at_random=crop != "start",
            seen_first=crop == "seen",
            annotated_only=annotated == "only",
            rgb=self._selection.rgb,
            backgrounds=None if backgrounds is None else Backgrounds(backgrounds),
        )
        # In shared memory, so that persistent workers hear of a new epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        """Samples of an epoch on this node."""
        return len(self._of_node())

    @property
    def rgb(self) -> bool:
        """Whether samples hold frames: the set was not built with ``output.rgb=none``."""
        return self._selection.rgb

    @property
    def keys(self) -> frozenset[str]:
        """The clips that samples are taken from."""
        return frozenset(item.key for item in self._selection.items)

    def set_epoch(self, epoch: int) -> None:
        """Call it before each epoch: another order, other crops. Without it all are the same."""
        _check("epoch", epoch, epoch >= 0, "0 or more")
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[MatteSample]:
        worker, places = get_worker_info(), self._of_node()
        if worker is not None:
            part = share(len(places), worker.id, worker.num_workers)
            places = places[part.start : part.stop]
        epoch = int(self._epoch)
        order = epoch_order(
            self._selection.shards,
            seed=self._seed,
            epoch=epoch,
            shuffle=self._shuffle > 0,
            draws=self._draws,
        )
        found = self._read(order, places)
        if self._shuffle:
            mixing = Random(f"{self._seed} {epoch} {places}")  # noqa: S311 no secret
            found = filters.shuffle(self._shuffle, initial=self._shuffle, rng=mixing)(found)
        for place, item, tar, members in found:
            try:
                random = np.random.default_rng((self._seed, epoch, place))
                yield self._maker.make(members, item.masklets, random)
            except (ValueError, InputError) as error:
                raise self._broken(f"{tar}, sample {item.key}", error) from error

    def _read(self, order: NDArray[np.int64], places: range) -> Iterator[_Found]:
        """The items at ``places`` of an epoch, shard by shard as they lie there."""
        storage = self._open()  # its own in each process: connections do not survive a fork
        selection = self._selection
        for shard, group in itertools.groupby(places, lambda p: int(selection.shards[order[p]])):
            tar = selection.tars[shard]
            wanted: dict[str, list[tuple[int, Item]]] = defaultdict(list)
            parts: dict[str, set[str]] = defaultdict(lambda: {"json", "rgb"})
            for place in group:
                item = selection.items[order[place]]
                wanted[item.key].append((place, item))
                parts[item.key].update(item.masklets)
            try:
                for key, members in stored_samples(storage, tar, _chosen(parts)):
                    for place, item in wanted.pop(key):
                        yield _Found(place, item, tar, members)
                    if not wanted:
                        break
            except (FileNotFoundError, ValueError) as error:
                raise self._broken(tar, error) from error
            if wanted:
                raise self._broken(tar, f"it has no sample {next(iter(wanted))}")

    def _of_node(self) -> range:
        count = len(self._selection.items) if self._draws is None else self._draws
        return share(count, *self._node)

    def _open(self) -> Any:
        return open_storage(self._root, "root", self._endpoint_url)

    def _broken(self, where: str, what: object) -> OutputError:
        return OutputError(f"{where} of {self._root}: {what}; `mav verify` says what else is wrong")


def _chosen(parts: Mapping[str, set[str]]) -> Any:
    """Whether a member is wanted, by its key and extension."""
    return lambda key, extension: key in parts and extension.partition(".")[0] in parts[key]


def _find_node() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _check(setting: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{setting} must be {rule}, not {value!r}")
