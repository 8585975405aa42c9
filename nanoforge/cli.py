"""How tasks meet the command line: errors become one sentence and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
from typing import Any, Callable, Dict, NoReturn, Optional

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from nanoforge.containers.connection import closing_connections
from nanoforge.errors import Interrupted, NanoforgeError

OPTIONS: Dict[str, str] = {
    "config": "The project's detector.toml, or the folder it is in; default: the current folder.",
    "set_": "Override a key of detector.toml for this command, such as train.steps=4000; may be repeated.",
    "dry_run": "Say what would run and why, and run nothing.",
    "runner": "auto, docker or local: where stages run; default: as detector.toml says.",
    "host": "Run this stage on the machine of that name in detector.toml, such as nano.",
    "json_": "Print JSON on standard output.",
}


def command(help: Optional[Dict[str, str]] = None, **options: Any) -> Callable[[Callable[..., Any]], Task[Any]]:
    """An Invoke task whose errors become one sentence on standard error and the exit code of their kind."""

    def decorate(body: Callable[..., Any]) -> Task[Any]:
        names = body.__code__.co_varnames[: body.__code__.co_argcount]
        texts = {name: text for name, text in {**OPTIONS, **(help or {})}.items() if name in names}

        @functools.wraps(body)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            signal.signal(signal.SIGTERM, _interrupt)
            try:
                with closing_connections():
                    return body(*args, **kwargs)
            except NanoforgeError as error:
                raise Exit(str(error), code=error.exit_code) from None
            except BrokenPipeError:
                # The reader, such as `head`, has seen enough; what Python would still flush has nowhere to go.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                where = f" ({error.filename})" if error.filename else ""
                raise Exit(
                    f"The disk is full{where}: free some space and run the same command again; it goes on from there.",
                    code=1,
                ) from None
            except KeyboardInterrupt:
                raise Exit(
                    "Interrupted; what was finished is kept, and the same command goes on from there.",
                    code=Interrupted.exit_code,
                ) from None

        made: Task[Any] = task(help=_flag_names(texts), **options)(guarded)
        return made

    return decorate


def _flag_names(texts: Dict[str, str]) -> Dict[str, str]:
    """Invoke wants help under the names of the flags: `set_` is --set, `dry_run` is --dry-run."""
    return {name.strip("_").replace("_", "-"): text for name, text in texts.items()}


def _interrupt(_signal_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
