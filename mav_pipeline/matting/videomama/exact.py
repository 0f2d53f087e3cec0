"""Exact savings: diffusers' modules changed after loading, to give the same numbers for less work.

In exact arithmetic nothing changes; in floats it is rounding. Each can be left out by its name, for
a measurement. Knows nothing of clips, devices or types, and needs torch as it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import AlphaBlender, SpatioTemporalResBlock
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional

#: Above this width of a head no fused attention kernel of PyTorch takes it, and the plain way
#: holds all scores at once: the VAE has one head of 512.
WIDEST_FUSED_HEAD = 256
QUERIES = 1024  # rows of scores held at once where nothing is fused

#: Where the 3 rows of a kernel fall on an input that each row of is shown twice, by the parity of
#: the output row: on rows i-1, i of the input, or on rows i, i+1.
_FALLS_ON = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))


class Upsampled(nn.Module):
    """Nearest-neighbour upsampling by 2 and a 3x3 convolution, as four 2x2 ones: 16/36 of the work.

    Each parity of output row and column sees 2x2 pixels of the input, through sums of weights.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        self.weights = nn.ParameterList(
            _constant(_summed(weight, rows, columns), weight)
            for rows in _FALLS_ON
            for columns in _FALLS_ON
        )
        self.bias = conv.bias

    def forward(self, hidden_states: Tensor, output_size: Any = None) -> Tensor:
        """(n, c, h, w) to (n, o, 2h, 2w)."""
        assert output_size is None  # asked for only where sides are no multiples of the model's
        count, _, height, width = hidden_states.shape
        phases = []
        for index, weight in enumerate(self.weights):
            row, column = divmod(index, 2)
            whole = functional.conv2d(hidden_states, weight, self.bias, padding=1)
            phases.append(whole[:, :, row : row + height, column : column + width])
        rows = [torch.stack(phases[start : start + 2], dim=-1) for start in (0, 2)]
        return torch.stack(rows, dim=3).reshape(count, -1, 2 * height, 2 * width)


class ZeroTokenAttention(nn.Module):
    """Cross-attention over a single token of zeros: its values are zeros, so its bias is left."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        assert attention.to_v.bias is None
        self.bias: nn.Parameter = attention.to_out[0].bias

    def forward(self, hidden_states: Tensor, **ignored: Any) -> Tensor:
        """(channels,), which broadcasts."""
        return self.bias


class TemporalConvolution(nn.Module):
    """A (3, 1, 1) convolution, padded, as three matrix products over all positions at once."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        self.before, self.at, self.after = (
            _constant(weight[:, :, tap, 0, 0], weight) for tap in range(3)
        )
        assert conv.bias is not None
        self.bias = conv.bias

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(b, c, t, h, w) to (b, o, t, h, w)."""
        batch, _, frames, height, width = hidden_states.shape
        flat, frame = hidden_states.flatten(2), height * width
        by = [weight.expand(batch, -1, -1) for weight in (self.before, self.at, self.after)]
        out = torch.baddbmm(self.bias[None, :, None], by[1], flat)
        if frames > 1:
            out[:, :, frame:].baddbmm_(by[0], flat[:, :, :-frame])
            out[:, :, :-frame].baddbmm_(by[2], flat[:, :, frame:])
        return out.view(batch, -1, frames, height, width)


class Blend(nn.Module):
    """A learned blend of what each frame and what time says, its factor computed once."""

    def __init__(self, spatial: float) -> None:
        super().__init__()
        self.spatial = spatial

    def forward(self, x_spatial: Tensor, x_temporal: Tensor, **ignored: Any) -> Tensor:
        return torch.lerp(x_temporal, x_spatial, self.spatial)


class Blended(nn.Module):
    """In place of a blend whose factor went into the weights before it."""

    def forward(self, x_spatial: Tensor, x_temporal: Tensor, **ignored: Any) -> Tensor:
        return x_temporal


class SelfAttention:
    """diffusers' self-attention, with one projection where there is one.

    Args:
        queries: so many at once; None: all.
    """

    def __init__(self, queries: int | None) -> None:
        self.queries = queries

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: None = None,
    ) -> Tensor:
        """(n, positions, c) or (n, c, h, w) to the same; the rest is None where diffusers calls."""
        residual, is_picture = hidden_states, hidden_states.ndim == 4
        if is_picture:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        parts = (
            attn.to_qkv(hidden_states).chunk(3, dim=-1)
            if hasattr(attn, "to_qkv")
            else [project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v)]
        )
        query, key, value = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts)
        found = [
            functional.scaled_dot_product_attention(some, key, value)
            for some in query.split(self.queries or query.shape[2], dim=2)
        ]
        joined = found[0] if len(found) == 1 else torch.cat(found, dim=2)
        out: Tensor = attn.to_out[0](joined.transpose(1, 2).flatten(2))
        if is_picture:
            out = out.transpose(1, 2).reshape(residual.shape)
        if attn.residual_connection:
            out = out + residual
        return out / attn.rescale_output_factor if attn.rescale_output_factor != 1 else out


# each saving: changes a model in place


def _fold_blends(model: nn.Module) -> None:
    for block in _all(model, SpatioTemporalResBlock):
        # What time says is what the frame says and a residual: the factor goes into the residual.
        last = block.temporal_res_block.conv2
        share = 1 - _spatial_share(block.time_mixer)
        for name in ("weight", "bias"):
            former = getattr(last, name)
            setattr(last, name, _constant(former.detach().double() * share, former))
        block.time_mixer = Blended()
    _replace(model, AlphaBlender, lambda blender: Blend(_spatial_share(blender)))


def _multiply_in_time(model: nn.Module) -> None:
    _replace(
        model,
        nn.Conv3d,
        lambda conv: TemporalConvolution(conv) if conv.kernel_size == (3, 1, 1) else conv,
    )


def _upsample_in_parts(model: nn.Module) -> None:
    _replace(model, Upsample2D, lambda module: Upsampled(module.conv))


def _skip_cross_attention(model: nn.Module) -> None:
    for kind in (BasicTransformerBlock, TemporalBasicTransformerBlock):
        for block in _all(model, kind):
            block.attn2, block.norm2 = ZeroTokenAttention(block.attn2), nn.Identity()


def _project_together(model: nn.Module) -> None:
    for attention in _self_attentions(model):
        projections = attention.to_q, attention.to_k, attention.to_v
        weight = torch.cat([one.weight.detach() for one in projections])
        has_bias = projections[0].bias is not None
        with torch.device("meta"):
            together = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias)
        together.weight = _constant(weight, weight)
        if has_bias:
            together.bias = _constant(torch.cat([one.bias.detach() for one in projections]), weight)
        attention.to_qkv = together
        del attention.to_q, attention.to_k, attention.to_v
        _attend(attention)


def _attend_in_chunks(model: nn.Module) -> None:
    for attention in _self_attentions(model):
        if attention.inner_dim // attention.heads > WIDEST_FUSED_HEAD:
            _attend(attention, QUERIES)


def _lay_channels_last(model: nn.Module) -> None:
    for module in model.modules():
        for name, weight in [*module.named_parameters(recurse=False)]:
            if weight.ndim == 4:  # of a convolution: its output is laid out as its weights are
                laid = weight.detach().contiguous(memory_format=torch.channels_last)
                setattr(module, name, nn.Parameter(laid, requires_grad=False))


#: By name, in the order in which they are applied.
SAVINGS: dict[str, Callable[[nn.Module], None]] = {
    "blend": _fold_blends,
    "temporal": _multiply_in_time,
    "upsample": _upsample_in_parts,
    "cross": _skip_cross_attention,
    "qkv": _project_together,
    "attention": _attend_in_chunks,
    "layout": _lay_channels_last,
}


def save_work(model: nn.Module, savings: Collection[str] = tuple(SAVINGS)) -> None:
    """Applies the named savings to a loaded VAE or UNet, in place.

    Its ``encoder_hidden_states`` are zeros of a single token from then on, whatever is passed.
    """
    assert set(savings) <= set(SAVINGS)
    for name, apply in SAVINGS.items():
        if name in savings:
            apply(model)


def _summed(weight: Tensor, rows: Any, columns: Any) -> Tensor:
    falls = [
        torch.tensor(part, dtype=torch.float64, device=weight.device) for part in (rows, columns)
    ]
    return torch.einsum("pr,qs,oirs->oipq", *falls, weight.double())


def _spatial_share(blender: AlphaBlender) -> float:
    """What a blender gives to what each frame says, for frames of a video."""
    factor: Tensor = blender.mix_factor.detach().double()  # type: ignore[operator]
    share = float(factor if blender.merge_strategy == "fixed" else torch.sigmoid(factor))
    return 1 - share if blender.switch_spatial_to_temporal_mix else share


def _self_attentions(model: nn.Module) -> list[Attention]:
    return [one for one in _all(model, Attention) if not one.is_cross_attention]


def _attend(attention: Attention, queries: int | None = None) -> None:
    before = attention.processor
    kept = before.queries if isinstance(before, SelfAttention) else None
    attention.set_processor(SelfAttention(queries or kept))  # type: ignore[arg-type]


def _constant(value: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(value.to(like.dtype).contiguous(), requires_grad=False)


def _all(model: nn.Module, kind: type[Any]) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, kind)]


def _replace(model: nn.Module, kind: type[Any], by: Callable[[Any], nn.Module]) -> None:
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, kind):
                setattr(parent, name, by(child))
