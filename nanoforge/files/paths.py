"""Where things are: the clone, the cache, and how a folder appears at once."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME = Path(__file__).resolve().parents[2]
"""The clone: it holds stages/, docker/ and the lock files."""


def cache_folder() -> Path:
    """Environments and downloads that all projects of a user share; ``NANOFORGE_CACHE`` names another place."""
    return Path(os.environ.get("NANOFORGE_CACHE") or platformdirs.user_cache_dir("nanoforge"))


def fsync_tree(folder: Path) -> None:
    """Bring the files below ``folder`` to the disk, so that a power cut after the rename cannot empty them."""
    for directory, _, names in os.walk(folder):
        for name in (*names, "."):
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
