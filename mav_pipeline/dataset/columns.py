"""What every column of ``manifest.parquet`` means: the words of ``croissant.json`` and the docs.

How scores are computed stands in ``quality.Scorer.scores``.
"""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "key": "key of the clip's sample in its shard; the same as video_id",
    "video_id": "id of the clip in its source",
    "masklet": "kind and object id, such as manual_003; null in the one row of a clip that failed "
    "or was skipped as a whole",
    "kind": "who made the mask: manual, auto, or gt for image sources",
    "status": "accepted, rejected (by a gate), skipped (by a guard or a choice), or failed",
    "reasons": "why it is not accepted, as stable slugs; of accepted masklets, fallbacks used",
    "error": "what was wrong with the input, in words; null where nothing was",
    "shard": "name of the shard that answers for the clip, such as mav-000000",
    "width": "pixels of the source frame as displayed, and of its alpha",
    "height": "pixels of the source frame as displayed, and of its alpha",
    "fps": "frame rate of the source video, not of the annotated frames",
    "environment": "the annotators' Indoor or Outdoor, where they gave one",
    "size_bucket": "the annotators' small, medium or large, where they gave one",
    "frames": "annotated frames of the clip, and frames of an alpha stream",
    "visible_frames": "of these, frames on which the masklet has a mask; elsewhere alpha is 0",
    "mean_area": "share of the frame that the mask covers, mean over visible frames",
    "motion": "path of the mask's centre from frame to frame in units of sqrt(area), mean",
    "outside_mass": "share of the alpha that lies beyond the dilated mask, in [0, 1]: it leaks",
    "core_loss": "mean 1 - alpha inside the eroded mask, in [0, 1]: it has holes",
    "area_ratio": "sum of alpha / area of the mask",
    "mask_iou": "intersection over union of alpha >= .5 with the mask, in [0, 1]",
    "softness": "share of the border zone with alpha in (.05, .95)",
    "flicker": "change of alpha from frame to frame that the mask does not make / alpha",
    "seam_ratio": "mean change of alpha at borders of windows / at no border; null without windows",
    "chunk_seam_ratio": "the same at borders of decode chunks",
    "visibility": "share of visible frames whose alpha is a tenth of the mask or more",
    "truncation": "solid alpha on the frame's border, in perimeters of a square as large",
    "area_jitter": "mean change of area_ratio from frame to frame / its size: frames drop or pulse",
    "speckle": "share of alpha that a 3 x 3 median changes: noise",
    "band_width": "integral of 4 a (1 - a) across the edge / sqrt(object area)",
    "band_entropy": "mean binary entropy of alpha near edges, in [0, 1]",
    "edge_alignment": "correlation of the gradients of alpha and of the alpha that object and "
    "background colours give, in [-1, 1]: 1 where every edge is one of the picture",
    "edge_gain": "slope of the latter on the former: above 1 alpha is blurred, below too hard",
    "colour_over": "alpha above what the colours explain / alpha: background taken in",
    "colour_under": "alpha below what the colours explain / alpha: object left out",
    "compositing": "mean |I - a F - (1 - a) B| near edges / mean |F - B|",
    "motion_flicker": "change of alpha along the optical flow where colours agree / alpha",
    "sharpness": "mean |Laplacian| / mean |gradient| of the picture near edges",
    "quality": "estimate of how right the matte is, in [0, 1]; null without full scores",
    "windows": "windows the backend ran; 0 where it looks at frames one by one",
    "alpha_bytes": "bytes of the encoded alpha",
    "seed": "of the noise of a diffusion backend",
}
