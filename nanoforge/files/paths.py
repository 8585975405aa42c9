"""Where things are: the clone, and the cache. Standard library only: the host environment is made by this too."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

from nanoforge.errors import BadInput, EnvironmentNotReady

HOME = Path(__file__).resolve().parents[2]
"""The clone: it holds stages/, docker/ and the lock files."""


def cache_folder() -> Path:
    """Environments and downloads that all projects of a user share; ``NANOFORGE_CACHE`` names another place.

    `run` finds the host environment by the same rule, and notes its use.

    Raises:
        BadInput: the user has no home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, says the specification of that variable.
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    folder = os.environ.get("NANOFORGE_CACHE") or f"{base}/nanoforge"
    if folder.startswith("~"):
        raise BadInput("You have no home folder (HOME is not set): name a folder for the cache with NANOFORGE_CACHE.")
    return Path(folder).absolute()


@contextmanager
def cache_in_use() -> Iterator[None]:
    """Errors of the disk are about the cache, where all that happens here happens.

    Raises:
        EnvironmentNotReady: something could not be written or read.
    """
    try:
        yield
    except OSError as error:
        folder = cache_folder()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentNotReady(
                f"The disk of the cache folder {folder} is full: free some space, or set NANOFORGE_CACHE to a folder on"
                " another disk."
            ) from None
        where = f" ({error.filename})" if error.filename else ""
        raise EnvironmentNotReady(
            f"The cache folder {folder} cannot be used: {error.strerror or error}{where}. Mend that, or set"
            " NANOFORGE_CACHE to a folder that can be written."
        ) from None


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


def note_use(path: Path) -> None:
    """Let ``gc --cache`` see, by its time, that something in the cache was used."""
    with suppress(OSError):
        os.utime(path)
