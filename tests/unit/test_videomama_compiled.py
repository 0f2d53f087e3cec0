"""``matting.compile``: a graph a stage and size, whatever the lengths and numbers of masklets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from mav_pipeline.media.sizing import source_size
from tests.checkpoint import write_checkpoint
from tests.videomama import Counting, alphas, apart, boxes, clip_of, opened

LAYOUT = {"window": 4, "overlap": 1, "decode_chunk": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Counter[tuple[int, ...]]]:
    """By compiled function, the shapes that it was called with; nothing is compiled."""
    found = list[Counter[tuple[int, ...]]]()

    def compile(run: Any, **keys: Any) -> Any:
        assert keys == {"dynamic": False, "fullgraph": True}
        shapes = Counter[tuple[int, ...]]()
        found.append(shapes)

        def counted(tensor: Any) -> Any:
            shapes[tuple(tensor.shape)] += 1
            return run(tensor)

        return counted

    monkeypatch.setattr(torch, "compile", compile)
    return found


def test_clips_of_other_lengths_and_masklets_compile_nothing_new(
    checkpoint: tuple[Path, Path], compilations: list[Counter[tuple[int, ...]]]
) -> None:
    backend = opened(checkpoint, compile=True, **LAYOUT)
    sizes = [source_size(height, 48) for height in (32, 48, 32, 48)]
    for frames, masklets, size in zip((13, 3, 9, 5), (1, 3, 2, 1), sizes, strict=True):
        shown = [boxes(frames, number) for number in range(masklets)]
        alphas(backend, clip_of(frames, shown, size), shown)
    shapes = [shape for counted in compilations for shape in counted]
    assert len(shapes) == len(set(shapes)) == len(compilations)  # each serves one shape
    assert set(shapes) == {
        shape
        for height in (4, 6)
        for shape in ((1, 3, 8 * height, 48), (1, 4, 12, height, 6), (1, 2, 4, height, 6))
    }


def test_what_is_compiled_does_not_hang_on_what_came_before(
    checkpoint: tuple[Path, Path], compilations: list[Counter[tuple[int, ...]]]
) -> None:
    shown = [boxes(6, number) for number in range(2)]

    def calls(backend: Any) -> Counter[tuple[int, ...]]:
        for counted in compilations:
            counted.clear()
        alphas(backend, clip_of(6, shown), shown)
        return sum(compilations, Counter[tuple[int, ...]]())

    backend = opened(checkpoint, compile=True, **LAYOUT)
    first = calls(backend)
    for height in range(32, 32 + 16 * 12, 16):  # above the eight at which torch gives up
        size = source_size(height, 48)
        alphas(backend, clip_of(2, [boxes(2)], size), [boxes(2)])
    assert calls(backend) == first
    assert first[(1, 4, 12, 4, 6)] == 4  # two windows of each masklet


def test_compiled_stages_are_whole_graphs_and_give_the_same(
    checkpoint: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real, with a backend that generates no code: a graph a stage."""
    graphs = list[Any]()
    real = torch.compile

    def eager(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda run, **keys: real(run, backend=eager, **keys))
    shown = boxes(3)
    clip = clip_of(3, [shown])
    keys = {"window": 2, "overlap": 1, "decode_chunk": 2}
    plain = opened(checkpoint, max_batch=1, **keys)
    expected = alphas(plain, clip, [shown])["manual_000"]
    backend = opened(checkpoint, compile=True, **keys)
    assert apart(alphas(backend, clip, [shown])["manual_000"], expected) == 0
    assert len(graphs) == 3


def test_compiled_batches_are_single(checkpoint: tuple[Path, Path], compilations: Any) -> None:
    shown = [boxes(5, number) for number in range(3)]
    backend = opened(checkpoint, compile=True, **LAYOUT)
    backend._step = counting = Counting(backend._step)
    alphas(backend, clip_of(5, shown), shown)
    assert counting.largest == 1
