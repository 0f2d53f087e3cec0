"""What ``mav export`` said of a clip beside its files, read back: see ``schema.about``."""

from __future__ import annotations

from mav_pipeline.schema import ClipRef
from mav_pipeline.schema.about import ABOUT, ClipAbout
from mav_pipeline.schema.errors import InputError
from mav_pipeline.storage import Storage, read_ref

_ENDING = ".json"


def about_place(path: str) -> tuple[str, str] | None:
    """(place, name) of a file that speaks of the clip ``name``; None for other files.

    Place: the path with the ``about`` part taken out, as that of a clip without its ``JPEGImages``.
    """
    *folders, file = path.split("/")
    if folders[-1:] != [ABOUT] or not file.endswith(_ENDING):
        return None
    name = file.removesuffix(_ENDING)
    return "/".join([*folders[:-1], name]), name


def read_about(storage: Storage, ref: ClipRef) -> ClipAbout | None:
    """What is said of a clip, where its files of role ``about`` say anything.

    Raises:
        InputError: the file is damaged, or another than planned.
    """
    for file in ref.role("about"):
        try:
            return ClipAbout.decode(read_ref(storage, file))
        except ValueError as error:
            cause = f"{file.label} is {error}; repair or remove it"
            raise InputError("json", cause, role="about", stage="read") from error
    return None
