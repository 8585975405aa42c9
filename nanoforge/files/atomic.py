"""Files that appear at once: a crash leaves the old one or none, never half of one."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place at the end; after an error it is gone.

    Its name holds the process id, so that two commands do not write into each other's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whose folder is made if need be."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` of the text in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """:func:`write_text` of the value as JSON."""
    write_text(path, json.dumps(value, indent=1))


def fsync_tree(folder: Path) -> None:
    """Bring the files below ``folder`` to the disk, so that a power cut after the rename cannot empty them."""
    for directory, _, names in os.walk(folder):
        for name in (*names, "."):
            _fsync(os.path.join(directory, name))


def fsync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk, so that a power cut cannot undo a rename."""
    _fsync(str(folder))


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
