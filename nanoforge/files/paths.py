"""Where things are: the clone, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nanoforge.errors import BadInput

HOME = Path(__file__).resolve().parents[2]
"""The clone: it holds stages/, docker/ and the lock files."""


def cache_folder() -> Path:
    """Environments and downloads that all projects of a user share; ``NANOFORGE_CACHE`` names another place.

    Raises:
        BadInput: the user has no home.
    """
    folder = Path(os.environ.get("NANOFORGE_CACHE") or platformdirs.user_cache_dir("nanoforge"))
    if str(folder).startswith("~"):
        raise BadInput("You have no home folder (HOME is not set): name a folder for the cache with NANOFORGE_CACHE.")
    return folder


def user_path(text: str) -> Path:
    """A path as the user wrote it, ``~`` and ``~name`` replaced.

    Raises:
        BadInput: there is no such user, or no home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        name = text[1:].partition("/")[0]
        reason = f"there is no user {name}" if name else "HOME is not set"
        raise BadInput(f"{text}: {reason}; write the path out in full.") from None
