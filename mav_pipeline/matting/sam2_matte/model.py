"""SAM 2 as a matting model: a clip and the first frame's mask in, alpha logits of every frame out.

    frame -> encode -> Features \\
    first mask -> begin ----------> logits, Memory -> step (next frame) -> logits, Memory -> ...

Built on the submodules of transformers' ``Sam2VideoModel``, whose own forward knows no gradient,
no batch and one session an object. The arithmetic follows transformers (Apache-2.0) and, through
it, Meta's SAM 2 (Apache-2.0); with the same weights both give the same logits. It knows nothing of
clips as stored, of losses and of files.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from mav_pipeline.matting.sam2_matte.memory import Features, Memory, waves
from mav_pipeline.matting.sam2_matte.rules import Rules

#: What SAM 2 makes of a mask of 0 and 1 to have logits of it, and of an object that is not there.
_MASK_SCALE, _MASK_BIAS, _ABSENT = 20.0, -10.0, -1024.0
#: ImageNet's, in RGB.
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: No gradient reaches these where logits are taken without the hard choice of no object.
_FROZEN = (
    "no_memory_embedding",
    "mask_decoder.iou_prediction_head.",
    "prompt_encoder.point_embed.",
    "prompt_encoder.shared_embedding.",
    "shared_image_embedding.",
    "no_memory_positional_encoding",
    "mask_decoder.pred_obj_score_head.",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
)


class Sam2Matte:
    """The model; called on a batch of clips to train, begun and stepped to go through a long one.

    Args:
        model: a ``Sam2VideoModel``; it is used, not copied.
        rules: what stands in no configuration of transformers.
        checkpointing: whether activations are computed again in the backward pass, frame by frame.
    """

    def __init__(self, model: Any, rules: Rules, *, checkpointing: bool = False) -> None:
        self.model, self.rules, self._checkpointing = model, rules, checkpointing
        config = model.config
        self._multimask = bool(
            config.multimask_output_in_sam
            and config.multimask_output_for_tracking
            and config.multimask_min_pt_num <= 0
        )

    @property
    def size(self) -> int:
        """S, both sides of the frames it takes."""
        return int(self.model.config.image_size)

    def freeze_unused(self) -> None:
        """Parameters that training reaches no gradient of are no longer asked for one."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(_FROZEN))

    def __call__(self, frames: Any, prompts: Any) -> Any:
        """Alpha logits of clips; sigmoid gives alpha.

        Args:
            frames: (B, T, 3, S, S), as ``normalised`` makes them.
            prompts: (B, S, S) in [0, 1], the mask of each object on its first frame.

        Returns:
            (B, T, S / 4, S / 4).
        """
        import torch

        logits, memory = self.begin(self._encode(frames[:, 0]), prompts)
        later = [self.step(memory, self._encode(frame)) for frame in frames[:, 1:].unbind(1)]
        return torch.stack([logits, *later], dim=1)

    def normalised(self, frames: Any) -> Any:
        """(..., 3, S, S) uint8 RGB to what the image encoder takes: ImageNet's mean and spread."""
        import torch

        mean, spread = (
            torch.tensor(values, device=frames.device)[:, None, None] for values in (_MEAN, _SPREAD)
        )
        return (frames.float() / 255 - mean) / spread

    # one frame at a time

    def encode(self, frames: Any) -> Features:
        """The features of one frame of each clip, (B, 3, S, S)."""
        found = self.model.vision_encoder(frames, return_dict=True)
        high, middle, low = found.fpn_hidden_states
        decoder = self.model.mask_decoder
        position = found.fpn_position_encoding[-1].flatten(2).permute(2, 0, 1)
        return Features((decoder.conv_s0(high), decoder.conv_s1(middle)), low, position)

    def begin(self, features: Features, prompts: Any) -> tuple[Any, Memory]:
        """Logits (B, S / 4, S / 4) of the first frame, and the memory of it.

        The memory holds the prompt's mask, as SAM 2's does; whether the logits are decoded or are
        those of the mask itself, ``rules`` say.

        Args:
            features: of the first frame.
            prompts: (B, S, S) in [0, 1].
        """
        model, config = self.model, self.model.config
        masks = prompts[:, None].to(features.low.dtype)
        there = (masks > 0).flatten(1).any(dim=1, keepdim=True)
        dense = model.prompt_encoder.mask_embed(model.mask_downsample(masks))
        _, score, token = self._decode(features.low, features.high, dense, multimask=True)
        pointer = self._pointer(token, (score > 0) & there)
        mask_logits = masks.float() * _MASK_SCALE + _MASK_BIAS
        if self.rules.first_frame == "mask":
            logits = self._small(mask_logits)[:, 0]
        else:
            logits = self._decode(features.low, features.high, dense, multimask=False)[0]
        seen, position = self._remember(features, (mask_logits > 0).float(), there)
        return logits, Memory(
            seen,
            pointer,
            position,
            deque(maxlen=config.num_maskmem - 1),
            deque(maxlen=config.max_object_pointers_in_encoder - 1),
        )

    def step(self, memory: Memory, features: Features) -> Any:
        """Logits (B, S / 4, S / 4) of the next frame; ``memory`` then holds it too."""
        import torch
        from torch.nn.functional import interpolate

        memory.steps += 1
        low = self._recall(memory, features)
        dense = self.model.prompt_encoder.no_mask_embed.weight[:, :, None, None].expand_as(low)
        logits, score, token = self._decode(low, features.high, dense, multimask=self._multimask)
        there = score > 0
        if self.rules.object_gate:
            logits = torch.where(there[:, :, None], logits, _ABSENT)
        whole = interpolate(logits[:, None].float(), size=self.size, mode="bilinear")
        memory.maps.append(self._remember(features, torch.sigmoid(whole), there)[0])
        memory.pointers.append(self._pointer(token, there))
        return logits

    # parts of a step

    def _encode(self, frames: Any) -> Features:
        """As ``encode``, keeping no activations where ``checkpointing`` is on."""
        if not self._checkpointing:
            return self.encode(frames)
        from torch.utils.checkpoint import checkpoint

        found: Features = checkpoint(self.encode, frames, use_reentrant=False)
        return found

    def _recall(self, memory: Memory, features: Features) -> Any:
        """The frame's lowest features in the light of what is remembered, of the same shape."""
        import torch

        model, low = self.model, features.low
        offsets = range(len(memory.maps), 0, -1)  # the oldest first, the prompted frame before it
        maps = [memory.first, *memory.maps]
        temporal = model.memory_temporal_positional_encoding
        places = [memory.position + temporal[offset - 1] for offset in (0, *offsets)]
        pointers, pointer_places = self._pointers(memory)
        found = model.memory_attention(
            current_vision_features=low.flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=features.position,
            memory=torch.cat([*maps, pointers]),
            memory_posision_embeddings=torch.cat([*places, pointer_places]),
            num_object_pointer_tokens=len(pointers),
        )
        # (1, B, positions, C) whatever B; transformers' own squeeze serves one clip alone.
        return found.squeeze(0).transpose(1, 2).reshape(low.shape)

    def _pointers(self, memory: Memory) -> tuple[Any, Any]:
        """Object pointers as tokens as wide as maps, (N, B, 64), and where in time they stand."""
        import torch

        config, depth = self.model.config, memory.first.shape[-1]
        pointers = torch.stack([memory.pointer, *reversed(memory.pointers)])
        count, batch, width = pointers.shape
        times = [memory.steps, *range(1, count)]
        if config.enable_temporal_pos_encoding_for_object_pointers:
            # Of the longest memory, not of the clip's length: a clip's end is not known in advance.
            scaled = torch.tensor(times, dtype=torch.float32, device=pointers.device)
            times_of = waves(scaled / (config.max_object_pointers_in_encoder - 1), width)
            places = self.model.temporal_positional_encoding_projection_layer(times_of)
        else:
            places = pointers.new_zeros(count, depth)
        parts = width // depth
        split = pointers.reshape(count, batch, parts, depth).transpose(1, 2).flatten(0, 1)
        places = places[:, None].expand(-1, batch, -1).repeat_interleave(parts, dim=0)
        return split.to(memory.first.dtype), places.to(memory.first.dtype)

    def _remember(self, features: Features, alpha: Any, there: Any) -> tuple[Any, Any]:
        """The map of a frame and the encoding of its places, (S / 16 * S / 16, B, 64) each.

        Args:
            alpha: (B, 1, S, S) in [0, 1].
            there: (B, 1), whether the object is on the frame.
        """
        import torch

        model, config = self.model, self.model.config
        scaled = alpha * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        found, places = model.memory_encoder(features.low, scaled)
        absent = model.occlusion_spatial_embedding_parameter
        if self.rules.object_gate and absent is not None:
            found = found + (~there)[..., None, None] * absent[..., None, None]
        # SAM 2 keeps memories in half precision; what follows computes in the model's own.
        found = found.to(torch.bfloat16).to(features.low.dtype)
        return found.flatten(2).permute(2, 0, 1), places.to(found.dtype).flatten(2).permute(2, 0, 1)

    def _pointer(self, token: Any, there: Any) -> Any:
        """(B, C), the object as a vector."""
        import torch

        pointer = self.model.object_pointer_proj(token)
        if not self.rules.object_gate:
            return pointer
        return torch.where(there, pointer, self.model.no_object_pointer)

    def _decode(
        self, low: Any, high: tuple[Any, Any], dense: Any, *, multimask: bool
    ) -> tuple[Any, Any, Any]:
        """Logits (B, S / 4, S / 4), score of the object (B, 1), and the mask's token (B, C).

        Of several masks it is the one that the model thinks best.
        """
        import torch

        model, batch = self.model, len(low)
        points = torch.zeros(batch, 1, 1, 2, dtype=low.dtype, device=low.device)
        labels = -torch.ones(batch, 1, 1, dtype=torch.int32, device=low.device)
        sparse = model.prompt_encoder(points, labels, None, None)[0]
        places = model.get_image_wide_positional_embeddings().expand(batch, -1, -1, -1)
        masks, quality, tokens, score = model.mask_decoder(
            image_embeddings=low,
            image_positional_embeddings=places,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            high_resolution_features=list(high),
        )
        rows = torch.arange(batch, device=low.device)
        best = quality[:, 0].argmax(dim=-1)
        token = tokens[rows, 0, best] if tokens.shape[2] > 1 else tokens[:, 0, 0]
        return masks[rows, 0, best], score[:, 0], token

    def _small(self, masks: Any) -> Any:
        from torch.nn.functional import interpolate

        size = self.model.prompt_encoder.mask_input_size
        return interpolate(masks, size=size, mode="bilinear", antialias=True)
