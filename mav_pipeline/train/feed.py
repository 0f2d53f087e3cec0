"""Batches of clips from built sets, the same at a step of a run whoever comes to it, and when.

    built sets -> MatteDataset -> augment (in the worker) -> by turns -> Batch

A run is cut into stretches of ``save_steps`` steps. Each is drawn anew, from the seed and its
number alone, so what begins at a checkpoint goes on exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.config import TrainConfig
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import nearest
from mav_pipeline.synthetic.degrade import DEGRADATIONS
from mav_pipeline.train.augment import Augment, Example

NONE = "none"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees, as tensors.

    Attributes:
        frames: (B, T, 3, S, S) uint8 RGB.
        prompts: (B, S, S) float32, 0 or 1.
        alpha: (B, T, S, S) uint8.
        weights: (B,) float32, of each clip in the loss.
    """

    frames: Any
    prompts: Any
    alpha: Any
    weights: Any


class Feed:
    """Reads the sets of a run.

    Args:
        config: the recipe.
        endpoint_url: of an S3-compatible server.

    Raises:
        ConfigError: a setting is wrong, or a set has nothing to train on.
        OutputError: a set is not finished, or cannot be read.
    """

    def __init__(self, config: TrainConfig, endpoint_url: str | None) -> None:
        self._config, self._endpoint_url = config, endpoint_url
        check_degradations(config.degrade)
        shares = config.shares or (1.0,) * len(config.data)
        self._draws = apportioned(shares, config.save_steps * config.batch)
        if not all(self._draws):
            raise ConfigError(
                f"train.shares={list(shares)}: of the {sum(self._draws)} samples of "
                "train.save_steps x train.batch a set gets none; raise one of these"
            )
        self._sets = [
            self._open(root, draws=draws)
            for root, draws in zip(config.data, self._draws, strict=True)
        ]

    @property
    def videos(self) -> frozenset[str]:
        """The clips that are trained on."""
        return frozenset().union(*(dataset.keys for dataset in self._sets))

    def stretch(self, number: int) -> Iterator[Batch]:
        """The batches of ``save_steps`` steps, those of one stretch of the run."""
        config = self._config
        augment = Augment(config, number)
        loaders = [iter(self._loader(dataset, number, augment)) for dataset in self._sets]
        random = np.random.default_rng((config.seed, number))
        turns = random.permutation(np.repeat(np.arange(len(loaders)), self._draws))
        for turn in turns.reshape(-1, config.batch):
            yield batch_of([next(loaders[place]) for place in turn], config.degrade, random)

    def held_out(self) -> Iterator[Batch]:
        """Samples of videos that are not trained on, as they are, one at a time; maybe none."""
        for root in self._config.data:
            try:
                dataset = self._open(root, draws=self._config.eval_samples, held_out=True)
            except ConfigError:  # the set has no such video: what else is wrong was found before
                continue
            for example in self._loader(dataset, 0, Augment(self._config, None)):
                yield batch_of([example], (NONE,), np.random.default_rng(0))

    def _open(self, root: str, *, draws: int, held_out: bool = False) -> Any:
        from mav_pipeline.train.loader import MatteDataset
        from mav_pipeline.train.loader.split import Split

        config = self._config
        dataset = MatteDataset(
            root,
            endpoint_url=self._endpoint_url,
            frames=config.frames,
            crop="seen",
            short="repeat",
            gate=config.gate,
            split=Split(config.held_out, held_out),
            shuffle=0 if held_out else 16,
            draws=draws,
            seed=config.seed,
            node=(0, 1),
        )
        if not dataset.rgb:
            raise ConfigError(
                f"train.data={root} was built with output.rgb=none, so it has no frames to train "
                "on; build it with output.rgb=source"
            )
        return dataset

    def _loader(self, dataset: Any, number: int, augment: Augment) -> Any:
        from torch.utils.data import DataLoader

        dataset.set_epoch(number)
        return DataLoader(
            dataset, batch_size=None, collate_fn=augment, num_workers=self._config.workers
        )


def batch_of(
    examples: Sequence[Example], degrade: Sequence[str], random: np.random.Generator
) -> Batch:
    """Stacks clips; each prompt is degraded by one of ``degrade``, drawn here."""
    import torch

    prompts = [_degraded(example.mask, degrade, random) for example in examples]
    weights = [example.weight for example in examples]
    return Batch(
        torch.from_numpy(np.stack([example.frames for example in examples])).movedim(-1, 2),
        torch.from_numpy(np.stack(prompts).astype(np.float32)),
        torch.from_numpy(np.stack([example.alpha for example in examples])),
        torch.tensor(weights, dtype=torch.float32),
    )


def apportioned(shares: Sequence[float], count: int) -> list[int]:
    """``count`` in whole parts as near to ``shares`` as can be: the largest remainders get one."""
    exact = np.array(shares) / sum(shares) * count
    parts: NDArray[np.int64] = np.floor(exact + 1e-9).astype(np.int64)
    rest = count - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:rest]] += 1
    return [int(part) for part in parts]


def check_degradations(names: Sequence[str]) -> None:
    """Raises ConfigError where one is none."""
    known = [NONE, *DEGRADATIONS]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"train.degrade: there is no {name!r} (there is {', '.join(known)})"
                f"{nearest(name, known)}"
            )


def _degraded(mask: Any, names: Sequence[str], random: np.random.Generator) -> Any:
    name = names[int(random.integers(len(names)))]
    return mask if name == NONE or not mask.any() else DEGRADATIONS[name](mask[None])[0]
