"""What the system and the libraries say, as one of Nanoforge's errors: one sentence, and the exit code of its kind."""

from __future__ import annotations

import subprocess
from typing import Optional

from nanoforge.errors import BadInput, EnvironmentNotReady, NanoforgeError, StageFailed
from stages.system_errors import sentence_of

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
    # Imported only now: it may not be needed, and where no more files can be opened, it cannot be had.
    from filelock import Timeout

    if isinstance(error, Timeout):
        return StageFailed(f"Another command holds {error.lock_file} and does not end: wait for it, or end it.")
    if isinstance(error, NotImplementedError) and NO_LOCKS in str(error):
        return EnvironmentNotReady(f"Files cannot be locked on that disk ({error}): use another (NANOFORGE_CACHE).")
    return None


def _of_program(error: subprocess.CalledProcessError) -> NanoforgeError:
    words = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
    said = error.stderr.decode("utf-8", "replace") if isinstance(error.stderr, bytes) else error.stderr or ""
    last = f": {said.strip().splitlines()[-1]}" if said.strip() else "."
    return StageFailed(f"`{words}` ended with exit code {error.returncode}{last}")


def _of_end(error: EOFError) -> NanoforgeError:
    if "reading a line" in str(error):
        return BadInput("There is no terminal to answer a question at: say it with an option, such as --yes for clean.")
    return BadInput("A file ends too early: it is truncated; get it again.")
