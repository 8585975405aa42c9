"""How a command ends: whatever happens, with one sentence and the exit code of its kind, never with a traceback."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import traceback
from typing import Any, Iterator, NamedTuple, NoReturn

from nanoforge.errors import Interrupted, NanoforgeError
from nanoforge.system_errors import as_nanoforge_error

DEBUG = "NANOFORGE_DEBUG"
"""The variable, set to 1, with which tracebacks are shown, for those who mend Nanoforge."""
READER_GONE = 128 + signal.SIGPIPE
"""Exit code of a command whose reader, such as `head`, has gone before it was done; what shells say of others."""
INTERRUPTED = "Interrupted; what was finished is kept, and the same command goes on from there."


class Ending(NamedTuple):
    """What a command says last, on standard error, and its exit code."""

    sentence: str
    code: int


def debugging() -> bool:
    return os.environ.get(DEBUG) == "1"


def ending_of(error: BaseException) -> Ending:
    """How a command ends with this error; of one that is a bug, the traceback is kept in a log."""
    if debugging():
        traceback.print_exception(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        return Ending(INTERRUPTED, Interrupted.exit_code)
    if isinstance(error, BrokenPipeError) and reader_gone():
        return Ending("", READER_GONE)
    known = as_nanoforge_error(error)
    return Ending(str(known), known.exit_code) if known else _of_bug(error)


def reader_gone() -> bool:
    """Whether nobody reads standard output, or standard error, any more."""
    streams = select.poll()
    for descriptor in (1, 2):
        streams.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in streams.poll(0))


def _of_bug(error: BaseException) -> Ending:
    words = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    where = _kept("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return Ending(f"A bug of Nanoforge's: {words}. {where}", 1)


def _kept(text: str) -> str:
    """Keep the traceback, and say where."""
    try:
        from nanoforge.files.logs import new_log

        log = new_log("error")
        log.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (OSError, NanoforgeError):
        return f"Its traceback could not be kept; {DEBUG}=1 shows it."
    return f"Please report it with {log}."


def interrupt(signal_number: int, _frame: Any) -> NoReturn:
    """What a signal does that asks for the end; Python's own for Ctrl-C has no argument."""
    raise KeyboardInterrupt(signal_number)


def hear_signals() -> None:
    """From now on SIGTERM, and a terminal that is closed (SIGHUP), end this process as Ctrl-C does."""
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, interrupt)


@contextlib.contextmanager
def ending_in_a_sentence() -> Iterator[None]:
    """Around the whole program: what comes through is told on standard error, and its code is the program's."""
    try:
        _prepare()
        try:
            yield
        except SystemExit as end:
            if end.code:
                raise
        sys.stdout.flush()  # a full disk behind it is no success
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # as Invoke makes of Ctrl-C
            _end(ending_of(end.__context__))
        _flush()
        raise
    except BaseException as error:
        _deaf()
        _end(ending_of(error))
    finally:
        _deaf()


def _end(ending: Ending) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):
        if ending.sentence:
            print(ending.sentence, file=sys.stderr)
    _flush()
    sys.exit(ending.code)


def _prepare() -> None:
    # With a standard stream closed, the next file that is opened would get its number, and what is printed.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    threading.excepthook = _of_thread
    # What fails while something is thrown away, such as a second Ctrl-C there, has no one to be told to.
    sys.unraisablehook = sys.unraisablehook if debugging() else lambda _error: None
    hear_signals()


def _of_thread(error: threading.ExceptHookArgs) -> None:
    """Tell of an error that ended a thread; the command goes on."""
    if error.exc_value is not None:
        print(ending_of(error.exc_value).sentence, file=sys.stderr)


def _flush() -> None:
    """Write what still can be written; what cannot must not fail once more while Python ends."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _deaf() -> None:
    """All is said: from here on a signal ends the process at once, without words."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
