"""The steps of a training, and what of it goes into a checkpoint. It knows nothing of files.

What a step draws (dropout, whether it sees first frames alone) comes from the seed and its number,
so a run that goes on from a checkpoint ends with the weights of one that nothing disturbed: on the
CPU to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mav_pipeline.config import TrainConfig
from mav_pipeline.matting.sam2_matte.model import Sam2Matte
from mav_pipeline.schema.errors import TrainingError
from mav_pipeline.train.feed import Batch
from mav_pipeline.train.losses import l1_loss, laplacian_loss
from mav_pipeline.train.optimizer import make_optimizer, set_rates

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Losses:
    """Of one step: their weighted sum, each of them, and the norm of the gradient."""

    loss: float
    l1: float
    laplacian: float
    gradient: float


class Trainer:
    """A model with its optimizer.

    Args:
        matte: the model, on its device.
        config: the recipe.
        dtype: ``float32`` or ``bfloat16``.
    """

    def __init__(self, matte: Sam2Matte, config: TrainConfig, *, device: str, dtype: str) -> None:
        self.matte, self._config, self._device, self._dtype = matte, config, device, dtype
        matte.freeze_unused()
        self._names = {p: name for name, p in matte.model.named_parameters() if p.requires_grad}
        self._optimizer = make_optimizer(matte.model, config)

    @property
    def rate(self) -> float:
        """The learning rate of all but the image encoder."""
        return float(max(group["lr"] for group in self._optimizer.param_groups))

    def step(self, number: int, batch: Batch) -> Losses:
        """One step, counted from 0.

        Raises:
            TrainingError: the loss is no number, or memory is too little.
        """
        import torch

        config = self._config
        random = np.random.default_rng((config.seed, number))
        torch.manual_seed(int(random.integers(2**62)))
        count = 1 if random.random() < config.single_frame_share else config.frames
        set_rates(self._optimizer, number, config)
        self.matte.model.train()
        try:
            loss, l1, laplacian = self._losses(batch, count)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"step {number}: {config.batch} clips of {config.frames} frames of {config.size} "
                "pixels do not fit the device's memory; set train.checkpointing=true, or lower "
                "train.batch, train.frames or train.size, in a new train.root"
            ) from error
        norm = torch.nn.utils.clip_grad_norm_(list(self._names), config.clip_gradient)
        found = Losses(*(float(value.detach()) for value in (loss, l1, laplacian, norm)))
        if not (math.isfinite(found.loss) and math.isfinite(found.gradient)):
            raise TrainingError(
                f"step {number}: the loss is {found.loss}, its gradient's norm {found.gradient}; "
                "lower train.lr, or set train.dtype=float32, in a new train.root"
            )
        self._optimizer.step()
        return found

    def mad(self, batch: Batch) -> float:
        """Mean absolute difference x 1e3 of alpha at the model's size."""
        import torch

        self.matte.model.eval()
        with torch.inference_mode():
            alpha, truth = self._alpha(batch, self._config.frames)
            return float(1e3 * (alpha - truth).abs().mean())

    def _losses(self, batch: Batch, count: int) -> tuple[Any, Any, Any]:
        config = self._config
        alpha, truth = self._alpha(batch, count)
        if config.first_frame == "mask":
            alpha, truth = alpha[:, 1:], truth[:, 1:]
        weights = batch.weights.to(self._device)
        weights = weights.repeat_interleave(alpha.shape[1]) / (
            weights.sum().clamp(min=1e-6) * alpha.shape[1]
        )
        alpha, truth = alpha.flatten(0, 1), truth.flatten(0, 1)
        l1 = (weights * l1_loss(alpha, truth)).sum()
        laplacian = (weights * laplacian_loss(alpha, truth, config.laplacian_levels)).sum()
        return config.l1_weight * l1 + config.laplacian_weight * laplacian, l1, laplacian

    def _alpha(self, batch: Batch, count: int) -> tuple[Any, Any]:
        """(B, T, h, w) in [0, 1]: what the model gives for the first frames, and truth."""
        import torch
        from torch.nn.functional import avg_pool2d, interpolate

        frames, prompts = batch.frames[:, :count].to(self._device), batch.prompts.to(self._device)
        truth = batch.alpha[:, :count].to(self._device).float() / 255
        low = self._dtype == "bfloat16"
        with torch.autocast(self._device, torch.bfloat16, enabled=low):
            logits = self.matte(self.matte.normalised(frames), prompts).float()
        if self._config.loss_size == "quarter":
            truth = avg_pool2d(truth, 4)
        else:
            logits = interpolate(logits, size=truth.shape[-2:], mode="bilinear")
        return torch.sigmoid(logits), truth

    # checkpoints

    def checkpoint(self) -> bytes:
        """Weights and moments, as safetensors."""
        from safetensors.torch import save

        tensors = {f"model.{name}": value for name, value in self.matte.model.state_dict().items()}
        for parameter, name in self._names.items():
            state = self._optimizer.state[parameter]  # empty until a step has reached it
            tensors |= {f"{key}.{name}": value for key, value in state.items()}
        return save({name: value.contiguous().cpu() for name, value in tensors.items()})

    def resume(self, data: bytes, step: int) -> None:
        """Takes up what ``checkpoint`` gave after so many steps.

        Raises:
            TrainingError: it is not that of this model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            tensors = {name: value.to(self._device) for name, value in load(data).items()}
            weights = {n.removeprefix("model."): t for n, t in tensors.items() if n[:6] == "model."}
            self.matte.model.load_state_dict(weights)
            for parameter, name in self._names.items():
                if f"step.{name}" in tensors:
                    state = {key: tensors[f"{key}.{name}"] for key in _MOMENTS}
                    state["step"] = tensors[f"step.{name}"].cpu()  # where AdamW keeps it
                    self._optimizer.state[parameter] = state
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint after step {step} cannot be read: {error}; begin anew in another "
                "train.root"
            ) from error
