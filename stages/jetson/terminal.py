"""What a program says, for somebody who sits before it: one line that moves, warnings, one sentence at the end."""

import os
import sys
import time
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator

from stages.job import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, BadInput, Job, StageFailed
from stages.system_errors import sentence_of

EXIT_STOPPED = 130  # as shells have it for Ctrl-C
QUIET_SECONDS = 10  # between two words on how far it is, where no line can move


class TerminalJob(Job):
    """A job whose words are for people instead of for the host.

    Attributes:
        figures: what was reported of the result, by name.
    """

    def __init__(self, description: Dict[str, Any]) -> None:
        super().__init__(description)
        self.figures: Dict[str, Any] = {}
        self._told = 0.0
        self._moving = False

    def progress(self, done: float, total: float, message: str = "") -> None:
        share = "%3d %%" % (100 * done / total) if total else ""
        words = "%s: %s %s" % (self.stage, share, message)
        if sys.stderr.isatty():
            sys.stderr.write("\r%s\033[K" % words)
            sys.stderr.flush()
            self._moving = True
        elif time.time() - self._told >= QUIET_SECONDS:
            self._told = time.time()
            say(words)

    def rest(self) -> None:
        """Leave the line that moved as it is; what follows comes below."""
        if self._moving:
            self._moving = False
            sys.stderr.write("\n")
            sys.stderr.flush()

    def metrics(self, **values: Any) -> None:
        self.figures.update(values)

    def warn(self, message: str) -> None:
        say("warning: " + message)

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        yield


def say(words: str) -> None:
    """A line on standard error, over one that moves."""
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    sys.stderr.write("%s%s\n" % (clear, words))
    sys.stderr.flush()


def exit_code(work: Callable[[], None]) -> int:
    """Do the work, say in one sentence why it ended if it was not done, and give the exit code for that."""
    try:
        work()
        return EXIT_DONE
    except BadInput as error:
        return _ended(str(error), EXIT_BAD_INPUT)
    except StageFailed as error:
        return _ended(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return _ended("Stopped; nothing is half-written.", EXIT_STOPPED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains again when it ends
        return _ended("What read this program's words is gone.", EXIT_FAILED)
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            traceback.print_exc()
        words = told.text if told else "%s: %s (a bug: please report the lines above)" % (type(error).__name__, error)
        return _ended(words, EXIT_BAD_INPUT if told and told.bad_input else EXIT_FAILED)


def _ended(words: str, code: int) -> int:
    say("error: " + words)
    return code
