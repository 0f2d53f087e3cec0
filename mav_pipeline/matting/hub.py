"""Weights on the hub: a repository's snapshot on the local disk, fetched once a node."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mav_pipeline.schema.errors import ConfigError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(location: str) -> bool:
    """Whether it has the form ``owner/name``."""
    return bool(_HUB_ID.fullmatch(location)) and not location.startswith(".")


def snapshot(
    location: str,
    key: str,
    patterns: Sequence[str],
    is_whole: Callable[[Path], bool],
    choose: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Path:
    """The folder of a hub repository's files; the hub's own cache locks and resumes.

    Args:
        location: a hub id.
        key: the setting that names it, for errors.
        patterns: of the files that are wanted.
        is_whole: whether a snapshot that is here has its weights; else its download broke.
        choose: of the names in the repository, those to fetch; all that is wanted by default.

    Raises:
        ConfigError: it is neither here nor can it be fetched.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:  # offline where it is all there
        here = snapshot_download(location, allow_patterns=[*patterns], local_files_only=True)
        if is_whole(Path(here)):
            return Path(here)
    except LocalEntryNotFoundError:
        pass
    try:
        names = choose(HfApi().list_repo_files(location)) if choose else patterns
        return Path(snapshot_download(location, allow_patterns=[*names]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        cause = f"{key}={location} cannot be downloaded: {type(error).__name__}: {error}"
        raise ConfigError(f"{cause}; download it elsewhere and name the local folder") from error
