"""VideoMaMa inference: exact, shared, batched, seamless; on a tiny random checkpoint."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mav_pipeline.matting.videomama.svd import Decoded
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, LoadedClip, Matte, WorkingSize
from mav_pipeline.schema.errors import BackendError, ConfigError, InputError
from tests.checkpoint import write_checkpoint
from tests.fakes import mattes, moving_box
from tests.videomama import (
    HEIGHT,
    WIDTH,
    Counting,
    Tracing,
    alphas,
    apart,
    boxes,
    clip_of,
    masklet,
    opened,
    staggered,
)

MICRO = Path(__file__).resolve().parents[1] / "data" / "videomama_micro"
TINY = Path(__file__).resolve().parents[3] / "shared" / "data" / "videomama_tiny"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


# exact


def off_the_reference(folder: Path) -> int:
    """How far inference is from what the reference made of ``golden.npz``, of 255 at the most."""
    with np.load(folder / "golden.npz") as golden:
        frames, masks, expected = (golden[name] for name in ("frames", "masks", "alpha"))
        seed = int(golden["seed"])
    shown = masklet(masks)
    count, height, width = masks.shape
    size = source_size(height, width)
    clip = Clip("g", width, height, 24.0, tuple(range(count)), None, (shown,), size)
    backend = opened((folder / "svd", folder / "videomama"), seed=seed, rounding="truncate")
    (alpha,) = alphas(backend, LoadedClip(clip, frames), [shown]).values()
    assert alpha.shape == expected.shape
    return apart(alpha, expected)


def test_a_single_window_is_what_the_reference_made() -> None:
    assert off_the_reference(MICRO) <= 1


@pytest.mark.skipif(not TINY.is_dir(), reason="the shared data is not here")
def test_another_checkpoint_gives_what_the_reference_made_too() -> None:
    assert off_the_reference(TINY) <= 1


def test_the_same_clip_gives_the_same_bytes(checkpoint: tuple[Path, Path]) -> None:
    shown = boxes(5)
    clip = clip_of(5, [shown])
    first = alphas(opened(checkpoint), clip, [shown])
    backend = opened(checkpoint)
    alphas(backend, clip_of(3, [boxes(3)]), [boxes(3)])  # another clip before leaves no trace
    assert apart(alphas(backend, clip, [shown])["manual_000"], first["manual_000"]) == 0


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1)])
def test_noise_frame_by_frame_is_that_of_one_draw(
    size: tuple[int, int], checkpoint: tuple[Path, Path]
) -> None:
    """Where 16 does not divide a frame's numbers too, in which draws of one frame do not join."""
    frames = torch.stack([*islice(opened(checkpoint)._step.noise(*size, 42), 12)])
    generator = torch.Generator().manual_seed(42)
    assert torch.equal(frames, torch.randn((1, 12, 4, *size), generator=generator)[0])


def test_the_seed_matters(checkpoint: tuple[Path, Path]) -> None:
    shown = boxes(4)
    clip = clip_of(4, [shown])
    one, other = (alphas(opened(checkpoint, seed=s), clip, [shown]) for s in (42, 7))
    assert apart(one["manual_000"], other["manual_000"]) > 1


# shared and batched


def test_frames_are_encoded_once_and_only_where_something_is_visible(
    checkpoint: tuple[Path, Path],
) -> None:
    masks = moving_box(14, side=12, shape=(HEIGHT, WIDTH))
    masks[6:] = False
    first, second = masklet(masks, 0), masklet(masks.copy(), 1)
    clip = clip_of(14, [first, second])
    backend = opened(checkpoint, window=4, overlap=1)
    backend._step = counting = Counting(backend._step)
    found = alphas(backend, clip, [first, second])
    assert counting.frames == 6  # of 14; for two masklets and three windows that overlap
    assert counting.masks == 12
    assert counting.windows == 4
    assert counting.largest == 4
    assert not found["manual_000"][6:].any()


def test_a_masklet_has_the_same_matte_alone_and_among_others(checkpoint: tuple[Path, Path]) -> None:
    shown = staggered(12)
    clip = clip_of(12, shown)
    backend = opened(checkpoint, window=6, overlap=2)
    among = alphas(backend, clip, shown)
    single = opened(checkpoint, window=6, overlap=2, max_batch=1)
    exact = alphas(single, clip, shown)
    for one in shown:
        assert apart(alphas(backend, clip, [one])[one.name], among[one.name]) <= 1
        assert apart(alphas(single, clip, [one])[one.name], exact[one.name]) == 0


def test_batches_of_1_and_8_agree(checkpoint: tuple[Path, Path]) -> None:
    shown = [boxes(9, number) for number in range(3)]
    clip = clip_of(9, shown)
    one, eight = (
        alphas(opened(checkpoint, max_batch=n, window=4, overlap=1), clip, shown) for n in (1, 8)
    )
    assert one.keys() == eight.keys() == {m.name for m in shown}
    assert max(apart(one[name], eight[name]) for name in one) <= 1


# windows


class Offset(Counting):
    """A fake model: window k of a span comes out as the constant k, whatever goes in."""

    def denoise(self, windows: Any, *, exact: bool = False) -> Any:
        first = self.windows
        self.windows += len(windows)
        return torch.stack([torch.full_like(w[0], float(first + k)) for k, w in enumerate(windows)])

    def decode(self, chunks: Any, *, exact: bool = False) -> Any:
        levels = torch.stack([chunk.mean(dim=(1, 2, 3)) for chunk in chunks])[..., None, None]
        alpha = (1 + 60 * levels).round().to(torch.uint8).expand(-1, -1, HEIGHT, WIDTH)
        return Decoded(alpha, torch.ones(len(chunks), dtype=torch.bool), None)


def test_windows_fade_into_each_other_before_one_decode(checkpoint: tuple[Path, Path]) -> None:
    shown = boxes(10)
    backend = opened(checkpoint, window=6, overlap=2)
    backend._step = Offset(backend._step)
    (alpha,) = alphas(backend, clip_of(10, [shown]), [shown]).values()
    assert alpha[:, 0, 0].tolist() == [1, 1, 1, 1, 21, 41, 61, 61, 61, 61]


def traced(alpha: Any) -> list[tuple[int, int, int]]:
    """Of each frame: its number within the span, its own, and whether its mask shows something."""
    rows = [0, HEIGHT // 2, HEIGHT - 1]
    return [tuple(int(frame[row, 0]) for row in rows) for frame in alpha]  # type: ignore[misc]


def numbered(shown: LoadedClip, taken: list[int] | None = None) -> Iterator[Any]:
    """The clip's frames, each of its own number; ``taken`` says how many were taken."""
    for number, frame in enumerate(shown.frames):
        if taken is not None:
            taken[0] += 1
        yield np.full_like(frame, number % 256)


LAYOUTS = [
    {"window": 6, "overlap": 2, "decode_chunk": 3, "decode_overlap": 0},
    {"window": 6, "overlap": 4, "decode_chunk": 4, "decode_overlap": 2},
    {"window": 5, "overlap": 0, "decode_chunk": 8, "decode_overlap": 1},
    {"window": 24, "overlap": 4, "decode_chunk": 8, "decode_overlap": 0},
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_frame_is_made_of_its_own_frame_mask_and_noise(
    layout: dict[str, int], checkpoint: tuple[Path, Path]
) -> None:
    shown = staggered(47)
    clip = clip_of(47, shown)
    backend = opened(checkpoint, **layout)
    backend._step = counting = Tracing(backend._step)
    found = alphas(backend, LoadedClip(clip.clip, numbered(clip)), shown)
    spans = [span for one in shown for span in backend._plan.spans(one)]
    for span in spans:
        cut = slice(span.first, span.last)
        expected = [
            (frame - span.first, frame, int(span.masklet.visible[frame]))
            for frame in range(span.first, span.last)
        ]
        assert traced(found[span.masklet.name][cut]) == expected
    assert counting.frames == 47
    assert counting.masks == sum(span.frames for span in spans)
    assert counting.windows == sum(backend.seams(one).count for one in shown)


def test_windows_of_the_same_time_share_a_batch_whenever_their_spans_begin(
    checkpoint: tuple[Path, Path],
) -> None:
    shown = staggered(30)[:2]
    backend = opened(checkpoint, window=6, overlap=0)
    backend._step = counting = Tracing(backend._step)
    alphas(backend, clip_of(30, shown), shown)
    assert counting.largest == 2


# time


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_come_as_time_passes_for_all_masklets(
    layout: dict[str, int], checkpoint: tuple[Path, Path]
) -> None:
    shown = staggered(126)
    clip, taken = clip_of(126, shown), [0]
    backend = opened(checkpoint, **layout)
    backend._step = Tracing(backend._step)
    chunk = layout["decode_chunk"] + layout["decode_overlap"]
    held = 2 * layout["window"] + chunk + backend._config.max_batch
    done = {one.name: 0 for one in shown}
    for block in backend.matte(clip.clip, numbered(clip, taken), shown):
        assert isinstance(block, Matte)
        assert block.start >= done[block.masklet.name]
        done[block.masklet.name] = block.start + len(block.alpha)
        assert block.start >= max(done.values()) - layout["window"] - chunk
        # A round of windows is computed while the last group of the one before is copied.
        assert taken[0] - block.start <= held + layout["window"]
    assert set(done.values()) == {126}


def test_frames_in_which_nothing_is_visible_are_not_taken_early_nor_after_the_last(
    checkpoint: tuple[Path, Path],
) -> None:
    masks = np.zeros((80, HEIGHT, WIDTH), np.bool_)
    masks[:9, 4:20, 4:20] = masks[60:70, 4:20, 4:20] = True
    shown, taken = masklet(masks), [0]
    clip = clip_of(80, [shown])
    backend = opened(checkpoint, window=6, overlap=2)
    backend._step = counting = Tracing(backend._step)
    when = [
        (block.start, taken[0])
        for block in backend.matte(clip.clip, numbered(clip, taken), [shown])
    ]
    assert when == [(0, 9), (8, 9), (60, 70), (68, 70)]
    assert counting.frames == 19


def test_an_error_of_a_frame_passes_through_after_the_blocks_before_it(
    checkpoint: tuple[Path, Path],
) -> None:
    def torn() -> Iterator[Any]:
        yield from islice(numbered(clip), 30)
        raise InputError("video", "cannot be decoded", role="video", stage="decode")

    shown = boxes(40)
    clip = clip_of(40, [shown])
    backend = opened(checkpoint, window=6, overlap=2)
    backend._step = Tracing(backend._step)
    blocks = backend.matte(clip.clip, torn(), [shown])
    assert isinstance(next(blocks), Matte)
    with pytest.raises(InputError, match="cannot be decoded"):
        list(blocks)


class Live(TorchDispatchMode):
    """The most bytes that tensors held at once while it was entered."""

    def __init__(self) -> None:
        super().__init__()
        self._now: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, list | tuple) else [result]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                address = storage.data_ptr()
                if address not in self._now:
                    weakref.finalize(storage, self._now.pop, address)
                self._now[address] = storage.nbytes()
        self.peak = max(self.peak, sum(self._now.values()))
        return result


def most_held(checkpoint: tuple[Path, Path], count: int, layout: dict[str, int]) -> tuple[int, int]:
    """The most bytes of tensors, and the most frames, that were alive while a clip was matted."""

    def frames() -> Iterator[Any]:
        for number, frame in enumerate(numbered(clip)):
            alive.add(number)
            weakref.finalize(frame, alive.remove, number)
            most.append(len(alive))
            yield frame

    alive, most = set[int](), list[int]()
    shown = staggered(count)
    clip = clip_of(count, shown)
    backend = opened(checkpoint, **layout)
    backend._step = Tracing(backend._step)  # a model that holds none itself
    with Live() as live:
        for _ in backend.matte(clip.clip, frames(), shown):
            pass
    return live.peak, max(most)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_clip_three_times_as_long_holds_no_more_latents_and_frames(
    layout: dict[str, int], checkpoint: tuple[Path, Path]
) -> None:
    short, long = (most_held(checkpoint, count, layout) for count in (140, 420))
    assert long == short
    assert 0 < short[1] <= 10  # two batches, and those in the hands of the test


def test_context_around_chunks_is_decoded_and_dropped(checkpoint: tuple[Path, Path]) -> None:
    shown = boxes(7)
    clip = clip_of(7, [shown])
    backend = opened(checkpoint, decode_chunk=3, decode_overlap=1)
    blocks = [(m.start, len(m.alpha)) for m in mattes(backend, clip, [shown])]  # type: ignore[union-attr]
    assert blocks == [(0, 3), (3, 3), (6, 1)]
    plain = alphas(opened(checkpoint, decode_chunk=7), clip, [shown])["manual_000"]
    cut = alphas(opened(checkpoint, decode_chunk=3), clip, [shown])["manual_000"]
    context = alphas(backend, clip, [shown])["manual_000"]
    assert np.abs(context.astype(int) - plain).mean() < np.abs(cut.astype(int) - plain).mean()


# what goes wrong


def test_more_latents_than_the_model_takes_are_refused_before_it_sees_them(
    checkpoint: tuple[Path, Path],
) -> None:
    size = WorkingSize(2048, 2064, 2048, 2064)
    shown = boxes(1)
    clip = clip_of(1, [shown], size)
    with pytest.raises(BackendError, match=r"66048|256 x 258 latents"):
        (mattes(opened(checkpoint), clip, [shown]))


def test_cuda_that_is_not_there_is_never_replaced_by_the_cpu(
    checkpoint: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"matting\.device=cuda, but torch sees no CUDA device"):
        opened(checkpoint, device="cuda")


def test_another_unet_is_refused_with_found_and_wanted(tmp_path: Path) -> None:
    wrong = write_checkpoint(tmp_path, in_channels=8)
    with pytest.raises(ConfigError, match="has in_channels=8, 12 is wanted"):
        opened(wrong)


def test_torn_weights_are_named(tmp_path: Path) -> None:
    torn = write_checkpoint(tmp_path)
    file = next((tmp_path / "videomama").rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:10_000])
    with pytest.raises(ConfigError, match=r"matting\.unet: .* cannot be loaded"):
        opened(torn)


def test_alpha_is_rounded_to_the_nearest_or_truncated_as_released(
    checkpoint: tuple[Path, Path],
) -> None:
    shown = boxes(4)
    clip = clip_of(4, [shown])
    nearest, truncated = (
        alphas(opened(checkpoint, rounding=how), clip, [shown])["manual_000"].astype(int)
        for how in ("nearest", "truncate")
    )
    up = nearest - truncated
    assert set(np.unique(up)) == {0, 1}
    assert 0.3 < up[(truncated > 0) & (truncated < 255)].mean() < 0.7


def test_half_precision_takes_pixels_within_a_quarter_of_a_grey_level(
    checkpoint: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, taken = opened(checkpoint, dtype="bfloat16")._step, []
    monkeypatch.setattr(step, "_runs", [lambda pixels: taken.append(pixels) or pixels])
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    step.encode_frames(levels)
    (pixels,) = taken
    assert pixels.dtype == torch.bfloat16
    seen = (pixels.float() + 1).permute(0, 2, 3, 1).numpy() * 127.5
    assert np.abs(seen - levels).max() <= 0.25


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_gpu_agrees_with_the_cpu(dtype: str, checkpoint: tuple[Path, Path]) -> None:
    shown = [boxes(6, number) for number in range(2)]
    clip = clip_of(6, shown)
    cpu = alphas(opened(checkpoint), clip, shown)
    gpu = alphas(opened(checkpoint, device="cuda", dtype=dtype), clip, shown)
    limit = {"float32": 2, "float16": 6, "bfloat16": 40}[dtype]
    assert max(apart(cpu[name], gpu[name]) for name in cpu) <= limit
