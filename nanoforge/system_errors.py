"""What the system and the libraries say, as one of Nanoforge's errors: one sentence, and the exit code of its kind."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Optional

from nanoforge.errors import BadInput, EnvironmentNotReady, NanoforgeError, StageFailed
from stages.system_errors import sentence_of

if TYPE_CHECKING:
    import sqlite3

NO_LOCKS = "does not appear to support"


def as_nanoforge_error(error: BaseException) -> Optional[NanoforgeError]:
    """The error in Nanoforge's words; itself if it is one already, None where nothing is known of it: a bug."""
    if isinstance(error, NanoforgeError):
        return error
    sentence = sentence_of(error)
    if sentence:
        return (BadInput if sentence.bad_input else StageFailed)(sentence.text)
    if isinstance(error, subprocess.CalledProcessError):
        return _of_program(error)
    if isinstance(error, EOFError):
        return _of_end(error)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return BadInput("A path begins with ~ and there is no such user or HOME: write the path out in full.")
    return _of_library(error)


def _of_library(error: BaseException) -> Optional[NanoforgeError]:
    # Imported only now: these may not be needed, and where no more files can be opened, they cannot be had.
    import sqlite3

    from filelock import Timeout

    if isinstance(error, Timeout):
        return StageFailed(f"Another command holds {error.lock_file} and does not end: wait for it, or end it.")
    if isinstance(error, NotImplementedError) and NO_LOCKS in str(error):
        return EnvironmentNotReady(f"Files cannot be locked on that disk ({error}): use another (NANOFORGE_CACHE).")
    return _of_sqlite(error) if isinstance(error, sqlite3.Error) else None


def _of_sqlite(error: sqlite3.Error) -> NanoforgeError:
    said = str(error)
    if "full" in said:
        return StageFailed("The disk is full: free some space and run the same command again; it goes on from there.")
    if "locked" in said:
        return StageFailed("Another command writes build/cache/digests.sqlite for too long: wait for it, or end it.")
    if "readonly" in said or "unable to open" in said:
        return BadInput(
            "build/cache/digests.sqlite cannot be opened and written: give yourself the right to, for its folder too"
            " (chmod, chown), and look whether `ulimit -n` is small."
        )
    return StageFailed(f"build/cache/digests.sqlite is of no use ({said}): remove it, it only remembers digests.")


def _of_program(error: subprocess.CalledProcessError) -> NanoforgeError:
    words = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
    said = error.stderr.decode("utf-8", "replace") if isinstance(error.stderr, bytes) else error.stderr or ""
    last = f": {said.strip().splitlines()[-1]}" if said.strip() else "."
    return StageFailed(f"`{words}` ended with exit code {error.returncode}{last}")


def _of_end(error: EOFError) -> NanoforgeError:
    if "reading a line" in str(error):
        return BadInput("There is no terminal to answer a question at: say it with an option, such as --yes for clean.")
    return BadInput("A file ends too early: it is truncated; get it again.")
