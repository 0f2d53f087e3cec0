"""``mav train``: the recipe of one training run."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MultipleOf
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import (
    STRICT,
    UNHASHED,
    Count,
    Natural,
    NotNegative,
    Positive,
    Share,
    Text,
    Texts,
    listed,
    require,
)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TrainConfig:
    """What is trained, on what, and how; ``conf/train/`` says which values are whose.

    Attributes:
        name: of the recipe.
        data, shares: built sets, and the share of samples from each; no shares are equal ones.
        model: folder or hub id of SAM 2 weights, or ``random``.
        root: folder or s3:// prefix that receives the run.
        steps, batch, frames: optimizer steps, clips a step, frames a clip.
        save_steps: steps from one checkpoint to the next; the order of samples is drawn anew for
            each such stretch, so that a resumed run sees what an undisturbed one does.
        size: both sides of what the model sees.
        first_frame: what the model gives for the prompted frame: ``alpha``, or the mask itself.
        single_frame_share: share of steps that look at the first frames alone.
        lr, encoder_lr, lr_end, layer_decay: learning rates; what is left of them at the end; the
            factor from each block of the image encoder to the one before it.
        weight_decay, clip_gradient: of AdamW, not on biases and norms; norm of gradients.
        l1_weight, laplacian_weight, laplacian_levels, loss_size: the loss, and whether it is taken
            at ``size`` or at a quarter of it, as the model decodes.
        degrade: names of degradations, ``none`` among them; each prompt draws one.
        flip, min_scale, colour: share of mirrored clips; smallest side of a crop, as a share of the
            frame's; spread of gain and offset of colours.
        quality_power: a sample counts quality ** power; 0 counts all alike.
        gate: name of a gate of ``mav regate`` whose verdicts stand in for those of the build.
        held_out, eval_samples: share of videos that are not trained on, and how many samples of
            them the figures of the model rest on.
        seed, threads, workers: of all that is drawn; CPU threads; processes that load.
        device, dtype, checkpointing: where and in what it computes; whether the image encoder's
            activations are computed twice rather than kept.
        log_steps: steps from one line of ``metrics.jsonl`` to the next.
    """

    name: str
    data: Annotated[Texts, UNHASHED]
    shares: Annotated[tuple[Positive, ...], BeforeValidator(listed)]
    model: Annotated[Text | None, UNHASHED]
    root: Annotated[Text | None, UNHASHED]
    steps: Count
    batch: Count
    frames: Count
    save_steps: Count
    size: Annotated[Count, MultipleOf(16)]
    first_frame: Literal["alpha", "mask"]
    single_frame_share: Share
    lr: Positive
    encoder_lr: Positive
    lr_end: Share
    layer_decay: Positive
    weight_decay: NotNegative
    clip_gradient: Positive
    l1_weight: NotNegative
    laplacian_weight: NotNegative
    laplacian_levels: Natural
    loss_size: Literal["full", "quarter"]
    degrade: Texts
    flip: Share
    min_scale: Share
    colour: Share
    quality_power: NotNegative
    gate: Text | None
    held_out: Share
    eval_samples: Count
    seed: Natural
    threads: Count
    workers: Natural
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    checkpointing: bool
    log_steps: Count

    def __post_init__(self) -> None:
        ok = len(self.shares) in (0, len(self.data))
        rule = f"empty, or one number a set of train.data ({len(self.data)})"
        require(ok, "train.shares", rule, self.shares)
        require(bool(self.degrade), "train.degrade", "a list of at least one name, or none", [])
        require(self.min_scale > 0, "train.min_scale", "above 0", self.min_scale)
        ok = self.first_frame == "alpha" or (self.frames > 1 and not self.single_frame_share)
        rule = "alpha where a step may see one frame alone"
        require(ok, "train.first_frame", rule, self.first_frame)
