"""Where things are: the clone, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME = Path(__file__).resolve().parents[2]
"""The clone: it holds stages/, docker/ and the lock files."""


def cache_folder() -> Path:
    """Environments and downloads that all projects of a user share; ``NANOFORGE_CACHE`` names another place."""
    return Path(os.environ.get("NANOFORGE_CACHE") or platformdirs.user_cache_dir("nanoforge"))
