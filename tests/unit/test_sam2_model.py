"""SAM 2 as a matting model, held to transformers' own video inference on the same weights."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mav_pipeline.matting.sam2_matte.model import Sam2Matte  # noqa: E402
from mav_pipeline.matting.sam2_matte.rules import TRAINED, Rules  # noqa: E402
from mav_pipeline.matting.sam2_matte.weights import random_model  # noqa: E402
from mav_pipeline.train.losses import l1_loss, laplacian_loss  # noqa: E402
from tests.sam2 import lively_model  # noqa: E402

SIZE = 32
ITSELF = Rules(first_frame="mask", object_gate=True)


pytestmark = pytest.mark.usefixtures("one_thread")


def clips(count: int, frames: int) -> tuple[Any, Any]:
    """Frames of noise, and a box as the first mask of each clip."""
    noise = torch.randn(count, frames, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    masks = torch.zeros(count, SIZE, SIZE)
    for number, mask in enumerate(masks):
        mask[4 : 20 + number, 6 + 2 * number : 24] = 1
    return noise, masks


def by_transformers(model: Any, frames: Any, mask: Any, *, whole: bool) -> tuple[Any, list[float]]:
    """Logits of one clip, and the scores of its object; the video given at once or by frame."""
    from transformers import Sam2VideoInferenceSession

    session = Sam2VideoInferenceSession(
        video=frames if whole else None,
        video_height=SIZE,
        video_width=SIZE,
        dtype=torch.float32,
    )
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask[None, None])
    session.obj_with_new_inputs = [1]
    given = [{"frame_idx": n} if whole else {"frame": frame} for n, frame in enumerate(frames)]
    with torch.inference_mode():
        found = [model(session, **which) for which in given]
    logits = torch.stack([frame.pred_masks[0, 0] for frame in found])
    return logits, [float(frame.object_score_logits) for frame in found]


@pytest.mark.parametrize(("whole", "several"), [(True, True), (False, False)])
def test_logits_are_those_of_transformers_own_video_inference(whole: bool, several: bool) -> None:
    """Over more frames than any memory is long; the object comes and goes, as SAM 2 sees it."""
    model = lively_model(SIZE)
    model.config.multimask_output_in_sam = several
    frames, masks = clips(1, 18)
    _, scores = by_transformers(model, frames[0], masks[0], whole=whole)
    with torch.no_grad():
        model.mask_decoder.pred_obj_score_head.proj_out.bias -= sorted(scores)[8]
    expected, scores = by_transformers(model, frames[0], masks[0], whole=whole)
    assert min(scores) < 0 < max(scores)
    with torch.inference_mode():
        found = Sam2Matte(model, ITSELF)(frames, masks)[0]
    assert (found - expected).abs().max() <= 1e-5
    assert expected.std() > 0.01


@pytest.mark.parametrize("rules", [ITSELF, TRAINED])
def test_a_batch_equals_its_members(rules: Rules) -> None:
    model = Sam2Matte(lively_model(SIZE), rules)
    frames, masks = clips(3, 4)
    with torch.inference_mode():
        together = model(frames, masks)
        for number in range(3):
            alone = model(frames[number : number + 1], masks[number : number + 1])[0]
            assert (together[number] - alone).abs().max() <= 1e-5


def test_frame_by_frame_is_the_clip_at_once() -> None:
    model = Sam2Matte(lively_model(SIZE), TRAINED)
    frames, masks = clips(1, 10)
    with torch.inference_mode():
        expected = model(frames, masks)[0]
        logits, memory = model.begin(model.encode(frames[:, 0]), masks)
        assert torch.equal(logits[0], expected[0])
        for number in range(1, 10):
            assert torch.equal(
                model.step(memory, model.encode(frames[:, number]))[0], expected[number]
            )


def test_gradients_reach_all_that_is_trained_and_cross_time() -> None:
    model = Sam2Matte(lively_model(SIZE).train(), TRAINED)
    model.freeze_unused()
    frames, masks = clips(1, 3)
    frames.requires_grad_()
    model(frames, masks)[:, 2].sum().backward()
    assert frames.grad[0, 0].abs().sum() > 0, "the last frame knows of the first"
    trained = {n for n, p in model.model.named_parameters() if p.requires_grad}
    reached = {n for n, p in model.model.named_parameters() if p.grad is not None}
    assert reached == trained


def test_checkpointing_changes_no_gradient() -> None:
    found = []
    for checkpointing in (False, True):
        model = Sam2Matte(lively_model(SIZE), TRAINED, checkpointing=checkpointing)
        model(*clips(1, 2)).square().mean().backward()
        found.append(model.model.vision_encoder.backbone.patch_embed.projection.weight.grad)
    assert torch.equal(*found)


def test_200_steps_overfit_two_clips() -> None:
    """Boxes that move over noise, each where its own mask says; mostly 30 steps are enough."""
    frames, masks = clips(2, 2)
    truth = torch.stack([masks, masks.roll(2, dims=2)], dim=1)
    frames = frames + 2 * truth[:, :, None]
    small = torch.nn.functional.avg_pool2d(truth, 4).flatten(0, 1)
    model = Sam2Matte(random_model(SIZE, seed=0).train(), TRAINED)
    model.freeze_unused()
    trained = [parameter for parameter in model.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3, fused=True)
    torch.manual_seed(0)
    losses: list[float] = []
    while len(losses) < 200 and (not losses or losses[-1] > 0.02):
        alpha = torch.sigmoid(model(frames, masks)).flatten(0, 1)
        difference = l1_loss(alpha, small).mean()
        optimizer.zero_grad()
        (difference + laplacian_loss(alpha, small, 3).mean()).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(float(difference.detach()))
    assert losses[0] > 0.3
    assert losses[-1] <= 0.02
