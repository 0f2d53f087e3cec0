"""One training, start to end, in this process: begun, gone on with, or already done.

sets, recipe, weights -> checked -> Record -> stretch by stretch: Trainer.step, checkpoint -> model/
"""

from __future__ import annotations

import itertools
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mav_pipeline.config import RunConfig, TrainConfig
from mav_pipeline.matting.sam2_matte.model import Sam2Matte
from mav_pipeline.matting.sam2_matte.rules import FILE, Rules
from mav_pipeline.matting.sam2_matte.weights import load, random_model, save
from mav_pipeline.schema.stopping import stop_on_signals
from mav_pipeline.storage import open_storage
from mav_pipeline.train.card import model_card
from mav_pipeline.train.check import KEY, Checked, check
from mav_pipeline.train.feed import Feed
from mav_pipeline.train.loop import Losses, Trainer
from mav_pipeline.train.record import Record, State, checkpoint_name

_log = logging.getLogger(__name__)


def train(config: RunConfig) -> dict[str, Any]:
    """Runs ``mav train``; what it comes to, as the console prints it.

    Raises:
        SetupError: a setting, a set or the weights are wrong, or the place holds another run.
        TrainingError: it cannot go on; the last checkpoint stays.
        Interrupted: SIGINT or SIGTERM; the same command goes on from the last checkpoint.
    """
    recipe, endpoint_url = config.train, config.storage.endpoint_url
    checked = check(config)
    feed = Feed(recipe, endpoint_url)
    record = Record(open_storage(recipe.root, "train.root", endpoint_url))
    state = record.begin(checked.about, checked.keys)
    if state is not None and state.complete:
        _log.info("the training in %s is complete", recipe.root)
        return _result(record, state, record.metrics(state.step))
    trainer = Trainer(_matte(recipe, checked), recipe, device=checked.device, dtype=checked.dtype)
    with stop_on_signals() as (_, check_signals):
        return _Run(config, record, feed, trainer).go(checked.about, state, check_signals)


class _Run:
    """A run under way."""

    def __init__(self, config: RunConfig, record: Record, feed: Feed, trainer: Trainer) -> None:
        self._config, self._recipe = config, config.train
        self._record, self._feed, self._trainer = record, feed, trainer
        self._told = self._began = time.monotonic()

    def go(
        self, about: Mapping[str, Any], state: State | None, check_signals: Callable[[], None]
    ) -> dict[str, Any]:
        recipe, step, metrics = self._recipe, 0, list[dict[str, Any]]()
        if state is not None:
            step, metrics = state.step, self._record.metrics(state.step)
            self._trainer.resume(self._record.storage.read(state.checkpoint), step)
            _log.info("going on after step %d of %d", step, recipe.steps)
        first = step
        while step < recipe.steps:
            stretch = self._feed.stretch(step // recipe.save_steps)
            for batch in itertools.islice(stretch, recipe.steps - step):
                check_signals()
                losses = self._trainer.step(step, batch)
                step += 1
                if step % recipe.log_steps == 0 or step == recipe.steps:
                    line = {name: float(f"{x:.8g}") for name, x in asdict(losses).items()}
                    metrics.append({"step": step, "lr": self._trainer.rate, **line})
                self._tell(step, first, losses)
            state = State(step, checkpoint_name(step))
            self._record.save(state, self._trainer.checkpoint(), metrics)
        assert state is not None
        return self._finish(about, state, metrics)

    def _finish(
        self, about: Mapping[str, Any], state: State, metrics: list[dict[str, Any]]
    ) -> dict[str, Any]:
        mads = [self._trainer.mad(batch) for batch in self._feed.held_out()]
        if not mads:
            _log.warning(
                "no video is held out: of %d none is by train.held_out=%g; the card has no figure",
                len(self._feed.videos),
                self._recipe.held_out,
            )
        held = {"samples": len(mads), "mad": sum(mads) / len(mads) if mads else None}
        figures = {"steps": state.step, "loss": metrics[-1]["loss"], "held_out": held}
        files = _files(self._trainer.matte)
        files |= {"README.md": model_card(about, figures), "figures.json": _json(figures)}
        state = replace(state, complete=True)
        self._record.finish(state, files)
        return _result(self._record, state, metrics)

    def _tell(self, step: int, first: int, losses: Losses) -> None:
        """A line each ``runtime.progress_s`` seconds."""
        now = time.monotonic()
        if now - self._told < self._config.runtime.progress_s:
            return
        rate = (step - first) / (now - self._began)
        _log.info(
            "step %d of %d, %.2f steps/s, %.0f s to go; loss %.4f (L1 %.4f, Laplacian %.4f), "
            "lr %.2e",
            *(step, self._recipe.steps, rate, (self._recipe.steps - step) / rate),
            *(losses.loss, losses.l1, losses.laplacian, self._trainer.rate),
        )
        self._told = now


def _matte(recipe: TrainConfig, checked: Checked) -> Sam2Matte:
    """The model, with one mask as its answer, as it is trained; for transformers too."""
    if checked.weights is None:
        model = random_model(recipe.size, recipe.seed)
    else:
        model = load(checked.weights, KEY, recipe.size)
    model.config.multimask_output_in_sam = False
    model.config.mask_decoder_config.dynamic_multimask_via_stability = False
    model.mask_decoder.dynamic_multimask_via_stability = False
    rules = Rules(first_frame=recipe.first_frame, object_gate=False)
    return Sam2Matte(model.to(checked.device), rules, checkpointing=recipe.checkpointing)


def _files(matte: Sam2Matte) -> dict[str, bytes]:
    """What ``from_pretrained`` reads, and how it is to be read."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        save(matte.model, place)
        matte.rules.write(place)
        names = ("config.json", "model.safetensors", FILE)
        return {name: (place / name).read_bytes() for name in names}


def _result(record: Record, state: State, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON of ``--json``."""
    return {
        "state": "complete" if state.complete else "incomplete",
        "steps": state.step,
        "loss": metrics[-1]["loss"],
        "model": f"{record.storage}/model",
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(value, indent=1, sort_keys=True)}\n".encode()
