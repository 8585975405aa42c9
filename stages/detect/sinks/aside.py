"""Files that are written under another name, and get their own when they are whole."""

import errno
import os

from stages.disk import writing
from stages.job import BadInput


def begun(path: str) -> str:
    """The name beside ``path`` to write to: a.part.mp4 for a.mp4; the folders above it are made.

    Raises:
        BadInput: there is something at ``path`` already.
        StageFailed: the folder cannot be made or written to.
    """
    if os.path.lexists(path):
        raise BadInput("%s is there already; move it away, or name another file" % path)
    folder = os.path.dirname(path) or "."
    with writing(path):
        os.makedirs(folder, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    stem, suffix = os.path.splitext(path)
    return stem + ".part" + suffix


def finished(part: str, path: str) -> None:
    """Give the file its name.

    Raises:
        StageFailed: the disk does not take it.
    """
    with writing(path):
        os.replace(part, path)
