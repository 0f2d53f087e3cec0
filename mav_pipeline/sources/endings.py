"""Files by the endings of their names; and what lies where an mp4 is missing."""

from __future__ import annotations

from collections.abc import Iterable

from mav_pipeline.sources.listing import Found

#: In lower case; a file's may be in any.
VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_PICTURES = (".jpg", ".jpeg", ".png")
#: Of pictures that are neither JPEG nor PNG.
_OTHER_IMAGES = (
    *(".tif", ".tiff", ".bmp", ".webp", ".gif", ".exr", ".tga", ".heic", ".avif", ".jp2", ".dpx"),
    *(".ppm", ".pgm", ".hdr", ".psd"),
)


def is_video(name: str) -> bool:
    """Whether a file of this name holds video."""
    return name.lower().endswith(VIDEO_ENDINGS)


def is_picture(name: str) -> bool:
    """Whether a file of this name is a JPEG or a PNG."""
    return name.lower().endswith(_PICTURES)


def kind_of(name: str) -> str:
    """Why a layout without a place for a file of this name passes it over."""
    if is_video(name):
        return "other_video"
    return "other_image" if name.lower().endswith(_OTHER_IMAGES) else "unknown"


class VideoNames:
    """The videos of each folder, to name what is there when another is missed."""

    def __init__(self, files: Iterable[Found]) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        for file in files:
            if is_video(file.name):
                folder, _, name = file.path.rpartition("/")
                self._names.setdefault((_stem(name), folder), []).append(name)

    def beside(self, file: Found, video_id: str) -> list[str]:
        """The videos beside ``file`` that are called ``video_id``, of any ending and case."""
        return self._names.get((video_id.casefold(), file.path.rpartition("/")[0]), [])


def _stem(name: str) -> str:
    return name.rpartition(".")[0].casefold()
