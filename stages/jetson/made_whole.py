"""Folders that appear whole: made under a hidden name beside, and renamed when all is there."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from typing import Iterator, NamedTuple

from stages.job import BadInput


class Room(NamedTuple):
    """Where a job works: an empty folder for what it makes, and one that a later try of the same finds again."""

    output: str
    scratch: str


@contextlib.contextmanager
def appearing(folder: str, mark: str) -> Iterator[Room]:
    """A room whose output becomes ``folder`` if the work in it ends well, and takes the place of what was there.

    Where it does not end well, its log stays in the hidden folder until the next try.

    Args:
        mark: the file by which a folder that is there is known for one of these, which may be replaced.

    Raises:
        BadInput: ``folder`` is something else, or another process makes it right now.
    """
    if os.path.lexists(folder) and not _may_be_replaced(folder, mark):
        raise BadInput("%s is there already, and not made by this program: name another folder (--out)" % folder)
    above, name = os.path.split(folder)
    work = os.path.join(above, ".%s.work" % name)
    room = Room(os.path.join(work, "output"), os.path.join(work, "scratch"))
    os.makedirs(room.scratch, exist_ok=True)
    with open(os.path.join(work, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput("%s is being made by another process right now: wait for it" % folder) from None
        shutil.rmtree(room.output, ignore_errors=True)
        os.mkdir(room.output)
        yield room
        if os.path.lexists(folder):
            before = os.path.join(work, "before")
            shutil.rmtree(before, ignore_errors=True)
            os.rename(folder, before)
        os.rename(room.output, folder)
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def passing() -> Iterator[Room]:
    """A room of which nothing is kept."""
    with tempfile.TemporaryDirectory(prefix="nanoforge-") as folder:
        room = Room(os.path.join(folder, "output"), os.path.join(folder, "scratch"))
        os.mkdir(room.output)
        os.mkdir(room.scratch)
        yield room


def _may_be_replaced(folder: str, mark: str) -> bool:
    if os.path.islink(folder) or not os.path.isdir(folder):
        return False
    return os.path.isfile(os.path.join(folder, mark)) or not os.listdir(folder)
