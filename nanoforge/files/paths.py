"""Where things are: the clone, and the cache. Standard library only: the host environment is made by this too."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

from nanoforge.errors import EnvironmentNotReady

HOME = Path(__file__).resolve().parents[2]
"""The clone: it holds stages/, docker/ and the lock files."""


def cache_folder() -> Path:
    """Environments and downloads that all projects of a user share; ``NANOFORGE_CACHE`` names another place.

    `run` finds the host environment by the same rule, and notes its use.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, says the specification of that variable.
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return Path(os.environ.get("NANOFORGE_CACHE") or f"{base}/nanoforge").absolute()


@contextmanager
def cache_in_use() -> Iterator[None]:
    """Errors of the disk are about the cache, where all that happens here happens.

    Raises:
        EnvironmentNotReady: something could not be written or read.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise EnvironmentNotReady(
            f"The cache folder cannot be used: {error.strerror or error}{where}. Mend that, or set NANOFORGE_CACHE to a"
            " folder that can be written."
        ) from None


def note_use(path: Path) -> None:
    """Let ``gc --cache`` see, by its time, that something in the cache was used."""
    with suppress(OSError):
        os.utime(path)
