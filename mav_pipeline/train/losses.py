"""What a matting model is trained to make small: L1 and the Laplacian pyramid of alpha.

Both are means over pixels, so their weights mean the same at every size. The pyramid is that of
Hou and Liu, "Context-Aware Image Matting", ICCV 2019: level n counts 2 ** n times.
"""

from __future__ import annotations

from typing import Any

#: Burt and Adelson's kernel, 1 4 6 4 1 in both directions.
_KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)


def l1_loss(alpha: Any, truth: Any) -> Any:
    """(N, H, W) in [0, 1] each to (N,): the mean absolute difference."""
    return (alpha - truth).abs().flatten(1).mean(dim=1)


def laplacian_loss(alpha: Any, truth: Any, levels: int) -> Any:
    """(N, H, W) in [0, 1] each to (N,): differences of edges, from fine to coarse.

    Args:
        levels: of the pyramid; fewer where a side would fall below 2 pixels.
    """
    from torch.nn.functional import interpolate

    rest = (alpha - truth)[:, None]  # the pyramid is linear: that of the difference is enough
    total = alpha.new_zeros(len(alpha))
    for level in range(levels):
        if min(rest.shape[-2:]) < 2:
            break
        small = _blurred(rest)[:, :, ::2, ::2]
        back = interpolate(small, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + 2.0**level * (rest - back).abs().flatten(1).mean(dim=1)
        rest = small
    return total


def _blurred(images: Any) -> Any:
    """(N, 1, H, W), their borders held."""
    import torch
    from torch.nn.functional import conv2d, pad

    row = torch.tensor(_KERNEL, dtype=images.dtype, device=images.device)
    kernel = torch.outer(row, row)[None, None] / row.sum() ** 2
    return conv2d(pad(images, (2, 2, 2, 2), mode="replicate"), kernel)
