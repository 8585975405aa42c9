"""How tasks meet the command line: errors become one sentence and an exit code."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from nanoforge.command_line import DocumentedTask, Group
from nanoforge.containers.connection import closing_connections
from nanoforge.endings import ending_of, hear_signals

OPTIONS: Dict[str, str] = {
    "config": "The project's detector.toml, or the folder it is in; default: the current folder.",
    "set_": "Override a key of detector.toml for this command, such as train.steps=4000; may be repeated.",
    "dry_run": "Say what would run and why, and run nothing.",
    "runner": "auto, docker or local: where stages run; default: as detector.toml says.",
    "host": "Run this stage on the machine of that name in detector.toml, such as nano.",
    "json_": "Print JSON on standard output.",
    "checkpoint": "best, last or a step.",
    "what": "TFRecord files, anybody's, or a folder of such or of photos with XML; default: the project.",
    "port": "Port to listen at; 0: one that is free.",
    "listen": "Address of this machine to listen at; another than 127.0.0.1 asks for the token that is printed.",
    "accept_losses": "Go on even if findings leave out more than a tenth of the dataset.",
    "train_anyway": "Train your own pipeline.config even if convert would refuse it, for TensorFlow alone.",
}


def command(
    group: Group, help: Optional[Dict[str, str]] = None, **options: Any
) -> Callable[[Callable[..., Any]], Task[Any]]:
    """An Invoke task whose errors become one sentence on standard error and the exit code of their kind.

    Args:
        group: where the overview shows it.
        help: option -> what it means; those that tasks share are known.
        options: as `invoke.task` takes them.
    """

    def decorate(body: Callable[..., Any]) -> Task[Any]:
        names = body.__code__.co_varnames[: body.__code__.co_argcount]
        texts = {name: text for name, text in {**OPTIONS, **(help or {})}.items() if name in names}

        @functools.wraps(body)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            hear_signals()
            try:
                with closing_connections():
                    return body(*args, **kwargs)
            except (Exit, SystemExit):
                raise
            except BaseException as error:
                ending = ending_of(error)
                raise Exit(ending.sentence, code=ending.code) from None

        made: Task[Any] = task(klass=DocumentedTask, group=group, help=_flag_names(texts), **options)(guarded)
        return made

    return decorate


def _flag_names(texts: Dict[str, str]) -> Dict[str, str]:
    """Invoke wants help under the names of the flags: `set_` is --set, `dry_run` is --dry-run."""
    return {name.strip("_").replace("_", "-"): text for name, text in texts.items()}
