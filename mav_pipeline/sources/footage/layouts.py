"""The layouts of footage, for the docs; ``pairs`` and ``match`` keep to them."""

from __future__ import annotations

from mav_pipeline.sources.endings import VIDEO_ENDINGS
from mav_pipeline.sources.kind import Layout

_ENDINGS = ", ".join(ending.removeprefix(".") for ending in VIDEO_ENDINGS)

LAYOUTS = (
    Layout(
        name="video_folder",
        files=f"`{{id}}.mp4` (or {_ENDINGS}, in any case) beside `{{id}}/0001.png`",
        reads="a mask or label image a frame; also from `{id}_mask/`, `{id}.masks/`, `{id}/masks/`",
        refuses="two videos of one name, two folders that could be meant (`two_files`)",
    ),
    Layout(
        name="video_objects",
        files="`{id}.mp4` beside `{id}/{object}/0001.png`, or beside `{id}_mask_2/0001.png`",
        reads="one folder an object: its number, else counted from 1 in natural order",
        refuses="masks beside the folders of objects (`two_files`)",
    ),
    Layout(
        name="video_masks",
        files="`{id}.mp4` beside `{id}_mask.mp4`, `{id}.mask.mov`, `{id}_mask_2.mp4`",
        reads="one video an object, what is brighter than half; `source.labels=ids` of lossless "
        "gray or RGB. As many frames, or by time at a whole part or multiple of the rate",
        refuses="other numbers of frames or rates (`frame_count`)",
    ),
    Layout(
        name="frames",
        files="`{id}/0001.jpg` beside `{id}_mask/0001.png`, `{id}_mask/{object}/0001.png` or "
        "`{id}_mask.mp4`; or `{id}/images/0001.jpg` beside `{id}/masks/0001.png`",
        reads="JPEG and PNG by the numbers in their names, which are kept",
        refuses="a picture without a number among others (`frame_name`), two of one number "
        "(`two_files`)",
    ),
    Layout(
        name="videomama",
        files="`image/{id}/0001.jpg` and `mask/{id}/0001.png`",
        reads="VideoMaMa's layout and its export; `alpha/` is passed over, `about/` taken up",
        refuses="frames of which `about/` says another number (`json`)",
    ),
)
