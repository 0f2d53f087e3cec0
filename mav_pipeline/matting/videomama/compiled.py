"""``torch.compile`` by shape: a graph for each shape of a bucket, and none for any other.

A graph that serves several shapes costs minutes of symbolic algebra at each new one, and a function
of one graph a shape falls back to eager after eight. So what is compiled is a fresh function for
each shape, static throughout. Which shapes are compiled the caller decides from the configuration
and a clip's size, so that what is computed how never hangs on what came before.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any


class ByShape:
    """Compiles a function of tensors once a shape.

    Args:
        run: of tensors alone; a function with a body of its own, as it is copied.
    """

    def __init__(self, run: FunctionType) -> None:
        self._run = run
        self._compiled: dict[tuple[object, ...], Callable[..., Any]] = {}

    def __call__(self, *tensors: Any) -> Any:
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._compiled:
            self._compiled[shapes] = self._fresh()
        return self._compiled[shapes](*tensors)

    def _fresh(self) -> Callable[..., Any]:
        import torch

        run = self._run  # torch counts recompilations by code object: each shape gets its own
        copy = FunctionType(run.__code__.replace(), run.__globals__, closure=run.__closure__)
        return torch.compile(copy, dynamic=False, fullgraph=True)
