"""A trained SAM 2 as a backend: prompted once, it tracks to the end of the clip by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mav_pipeline.config import RunConfig  # noqa: E402
from mav_pipeline.dataset import layout  # noqa: E402
from mav_pipeline.dataset.shard_tar import stored_samples  # noqa: E402
from mav_pipeline.matting.registry import open_backend  # noqa: E402
from mav_pipeline.matting.sam2_matte.backend import prompt_of  # noqa: E402
from mav_pipeline.matting.sam2_matte.rules import FILE, TRAINED  # noqa: E402
from mav_pipeline.media.masks import encode_rle  # noqa: E402
from mav_pipeline.schema import Alpha, Clip, Frame, Matte, MatteFailure  # noqa: E402
from mav_pipeline.schema.errors import ConfigError  # noqa: E402
from tests.fakes import (  # noqa: E402
    build_set,
    config,
    decode_sample,
    memory_clip,
    moving_box,
    write_clip,
)
from tests.sam2 import lively_model, write_sam2  # noqa: E402

FRAMES = 12


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam2(tmp_path_factory.mktemp("sam2"), rules=TRAINED)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The backend sets torch's number of threads, as it owns its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def settings(weights: Path, **keys: Any) -> RunConfig:
    own = {f"matting.{key}": value for key, value in keys.items()}
    return config({"matting.name": "sam2_matte", "matting.model": str(weights), **own})


def noise(clip: Clip) -> Iterator[Frame]:
    random = np.random.default_rng(0)
    for _ in clip.frame_indices:
        yield random.integers(0, 256, (clip.height, clip.width, 3), np.uint8)


def clip_of(visible: str, shift: int = 0) -> Clip:
    """A box on the frames marked ``x``; what comes after the first of them is moved."""
    masks = moving_box(len(visible))
    first = visible.index("x")
    rles = tuple(
        encode_rle(np.roll(mask, shift * (n > first), axis=1)) if seen == "x" else None
        for n, (mask, seen) in enumerate(zip(masks, visible, strict=True))
    )
    clip = memory_clip({0: masks})
    return replace(clip, masklets=(replace(clip.masklets[0], rles=rles),))


def matted(run: RunConfig, clip: Clip) -> Alpha:
    """All alpha of the clip's masklet, zero where none came."""
    backend = open_backend(run.matting)
    backend.setup()
    alpha = np.zeros((len(clip.frame_indices), clip.height, clip.width), np.uint8)
    for block in backend.matte(clip, noise(clip), clip.masklets):
        assert isinstance(block, Matte)
        alpha[block.start : block.start + len(block.alpha)] = block.alpha
    return alpha


def test_no_mask_after_the_first_reaches_its_output(weights: Path) -> None:
    """Masks moved, missing, or gone for good: the mattes are the same to the last bit."""
    run = settings(weights)
    expected = matted(run, clip_of("--xxxxxxxxxx"))
    assert not expected[:2].any()
    assert expected[2:].any(axis=(1, 2)).all()
    for other in (
        clip_of("--xxxxxxxxxx", shift=15),
        clip_of("--x---------"),
        clip_of("--x-x-x--xxx"),
    ):
        assert np.array_equal(matted(run, other), expected)
    assert not np.array_equal(matted(run, clip_of("-xxxxxxxxxxx")), expected)


def test_absence_is_trusted_where_that_is_asked(weights: Path) -> None:
    shown = "--xxx---xxx-"
    everywhere = matted(settings(weights), clip_of(shown))
    trusted = matted(settings(weights, trust_absence=True), clip_of(shown))
    seen = np.array([letter == "x" for letter in shown])
    assert np.array_equal(trusted[seen], everywhere[seen])
    assert not trusted[~seen].any()


def test_alpha_is_that_of_the_model_on_the_clip_at_once(weights: Path) -> None:
    from mav_pipeline.matting.sam2_matte.model import Sam2Matte

    clip = memory_clip({0: moving_box(4, shape=(32, 32), side=12)})
    model = Sam2Matte(lively_model(32), TRAINED)
    pixels = torch.from_numpy(np.stack([*noise(clip)])).permute(0, 3, 1, 2)[None]
    mask = torch.from_numpy(moving_box(1, shape=(32, 32), side=12)).float()
    with torch.inference_mode():
        logits = model(model.normalised(pixels), mask)
    whole = torch.nn.functional.interpolate(logits, size=(32, 32), mode="bilinear")[0]
    expected = (torch.sigmoid(whole) * 255).round().numpy()
    assert np.abs(matted(settings(weights), clip) - expected).max() <= 1


def test_masklets_do_not_know_of_each_other_and_long_clips_stream(weights: Path) -> None:
    clip = memory_clip({0: moving_box(40), 1: moving_box(40, top=20)})
    backend = open_backend(settings(weights).matting)
    backend.setup()
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for frame in noise(clip):
            taken += 1
            yield frame

    alone = matted(settings(weights), replace(clip, masklets=clip.masklets[:1]))
    for block in backend.matte(clip, counted(), clip.masklets):
        assert isinstance(block, Matte)
        stop = block.start + len(block.alpha)
        assert taken <= stop, "alpha comes as its frames do"
        if block.masklet is clip.masklets[0]:
            assert np.array_equal(block.alpha, alone[block.start : stop])


def test_what_is_no_number_fails_its_masklet(tmp_path: Path) -> None:
    model = lively_model(32)
    with torch.no_grad():
        model.mask_decoder.mask_tokens.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    TRAINED.write(tmp_path)
    clip = memory_clip({0: moving_box(10)})
    backend = open_backend(settings(tmp_path).matting)
    backend.setup()
    (found,) = backend.matte(clip, noise(clip), clip.masklets)
    assert isinstance(found, MatteFailure)
    assert found.reason == "not_finite"


def test_a_set_holds_what_it_tracked_and_says_so(weights: Path, tmp_path: Path) -> None:
    masks = moving_box(5)
    shown = [None, masks[1], masks[2], None, None]
    write_clip(tmp_path / "in", "sav_000001", {0: shown})
    places = {"source.root": str(tmp_path / "in"), "output.root": str(tmp_path / "out")}
    own = {"matting.name": "sam2_matte", "matting.model": str(weights)}
    run = config({**places, **own, "quality.enabled": False})
    built = build_set(run, open_backend(run.matting))
    receipt = built.receipts()["mav-000000"]
    ((_, members),) = stored_samples(built.storage, layout.data(receipt.tar.name))
    document, (masklet,) = decode_sample(members)
    assert document.provenance.tracks
    assert document.masklets[0].visible == (False, True, True, False, False)
    assert masklet.alpha.any(axis=(1, 2)).tolist() == [False, True, True, True, True]
    (row,) = built.rows().to_pylist()
    assert row["visible_frames"] == 2
    assert built.report().frames == 4


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "matting.model is not set; name a folder or hub id"),
        ((), r"must hold config\.json and model\.safetensors"),
        (("pytorch_model.bin", "config.json"), "weights as pickles .* are not loaded"),
        (("config.json", "model.safetensors"), "is of model_type='other'"),
    ],
)
def test_other_weights_are_refused_with_the_way_out(
    files: tuple[str, ...] | None, message: str, tmp_path: Path
) -> None:
    for name in files or ():
        (tmp_path / name).write_text('{"model_type": "other"}')
    model = None if files is None else str(tmp_path)
    run = config({"matting.name": "sam2_matte", "matting.model": model})
    with pytest.raises(ConfigError, match=message):
        open_backend(run.matting).identity()


def test_a_model_says_how_it_is_to_be_read_and_who_it_is(weights: Path, tmp_path: Path) -> None:
    first = open_backend(settings(weights).matting).identity()
    for path in weights.iterdir():
        if path.name != FILE:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert open_backend(settings(tmp_path).matting).identity() != first
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(ConfigError, match="not what a training wrote"):
        open_backend(settings(tmp_path).matting).identity()


def test_an_object_too_small_for_the_square_is_a_pixel_of_it() -> None:
    mask = np.zeros((480, 640), np.bool_)
    mask[400:402, 100] = True
    assert np.argwhere(prompt_of(mask, 32)).tolist() == [[26, 5]]
