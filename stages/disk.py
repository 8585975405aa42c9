"""Writing files so that a full disk becomes a sentence. Standard library only, Python 3.6 to current."""

import os
from contextlib import contextmanager
from typing import Iterator

from stages.job import StageFailed


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Around what writes to ``path``.

    Raises:
        StageFailed: the disk does not take it.
    """
    try:
        yield
    except OSError as error:
        raise StageFailed(
            "%s cannot be written: %s. Free some space there; records can be kept on another disk (records.folder)."
            % (path, error.strerror or error)
        ) from error


def write(path: str, data: bytes) -> None:
    """Write a file and the folders above it.

    Raises:
        StageFailed: the disk does not take it.
    """
    with writing(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
