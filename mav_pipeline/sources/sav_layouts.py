"""The layouts of SA-V, for the docs; ``sav_train`` and ``image_layout`` keep to them."""

from __future__ import annotations

from mav_pipeline.sources.kind import Layout

TRAIN = (
    Layout(
        name="json",
        files="`{id}.mp4` (in any case) beside `{id}_manual.json` and `{id}_auto.json`",
        reads="run lengths of each `source.frame_step`-th frame, as `source.masklets` asks",
        refuses="a json without its mp4, or beside another video (`no_video`); a video without the "
        "json asked for is skipped (`no_annotation`)",
    ),
)
EVAL = (
    Layout(
        name="objects",
        files="`JPEGImages*/{id}/00000.jpg` and `Annotations*/{id}/{object}/00000.png`",
        reads="one mask an object, by the numbers of frames and objects",
        refuses="names without numbers (`frame_name`), two files for a frame or two folders of "
        "annotations (`two_files`), masks numbered off their frames (`frame_shift`)",
    ),
    Layout(
        name="labels",
        files="`JPEGImages*/{id}/00000.jpg` and `Annotations*/{id}/00000.png`",
        reads="palettes, gray or colours by object, or binary masks: see `source.labels`",
        refuses="the same, and what cannot be told (`mask_labels`)",
    ),
)
