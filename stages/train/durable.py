"""Files that outlast a kill and a power cut: the old one is there or the new one, whole."""

import json
import os
from typing import Any

from stages import disk


def write_json(path: str, document: Any) -> None:
    """Put ``document`` in the place of the file at ``path``."""
    disk.replace(path, json.dumps(document, indent=1, sort_keys=True).encode("utf-8"))
    sync(os.path.dirname(path))


def sync(path: str) -> None:
    """Bring a file's bytes, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
