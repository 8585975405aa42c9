"""Writing files so that a full disk becomes a sentence. Standard library only, Python 3.6 to current."""

import errno
import os
import shutil
from contextlib import contextmanager
from typing import Iterator

from stages.job import StageFailed
from stages.system_errors import sentence_of

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Around what writes to ``path``.

    Raises:
        StageFailed: the disk does not take it.
    """
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = path
        told = sentence_of(error)
        elsewhere = " Records can be kept on another disk (records.folder)." if error.errno in FULL else ""
        cause = told.text if told else "%s." % (error.strerror or error)
        raise StageFailed("%s cannot be written: %s%s" % (path, cause, elsewhere)) from error


def replace(path: str, data: bytes) -> None:
    """Put ``data`` in the place of the file at ``path``, whose mode stays; on the disk before it has that name.

    Raises:
        OSError: it cannot be; then what was there still is.
    """
    aside = path + ".part"
    try:
        with open(aside, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if os.path.exists(path):
            shutil.copymode(path, aside)
        os.replace(aside, path)
    except BaseException:
        if os.path.lexists(aside):
            os.unlink(aside)
        raise


def write(path: str, data: bytes) -> None:
    """Write a file and the folders above it.

    Raises:
        StageFailed: the disk does not take it.
    """
    with writing(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
