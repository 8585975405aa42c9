"""The handshake between the host and a stage: one job file in, one event stream out.

A stage is a module with ``main(job)``, started with the path of its job file (stages/start.py) in its environment.
The job file is JSON::

    {"stage": "records",
     "inputs": {"photos": "/absolute/path", ...},     read-only files or folders
     "output": "/absolute/empty/folder",              what the stage makes, and nothing else
     "scratch": "/absolute/folder",                   survives a crash of the same job: checkpoints, half-made work
     "parameters": {...},                             plain JSON values
     "cpus": 2}                                       how many processors the stage may use

A stage prints plain log lines. Events are lines that hold ``EVENT_MARK`` followed by one JSON object:
``{"progress": {"done": 3, "total": 10, "message": "..."}}``, ``{"metrics": {...}}``, ``{"warning": "..."}``,
``{"error": "..."}``, ``{"reading": "/path"}``. Exit codes: 0 done, 1 failed, 2 bad input.

Standard library only, Python 3.6: this file is in every environment.
"""

import contextlib
import faulthandler
import json
import os
import sys
import traceback
from typing import Any, Callable, Dict, Iterator, List, Optional, TypeVar

from stages import parent
from stages.system_errors import sentence_of

EVENT_MARK = "::nanoforge:: "
EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT = 0, 1, 2

Parameters = TypeVar("Parameters")


class BadInput(Exception):
    """What the user gave cannot be used. The message is one sentence: what, where, how to mend it."""


class StageFailed(Exception):
    """The stage could not do its work although the input was right. One sentence: what, why, what to do."""


class Job:
    """What a stage is asked to do, and its way to talk back.

    Attributes:
        inputs: name -> absolute path of a file or folder, read-only.
        output: absolute path of an empty folder.
        scratch: absolute path of a folder that a later run of the same job finds again.
        parameters: name -> plain JSON value.
        cpus: processors the stage may use, at least 1.
    """

    def __init__(self, description: Dict[str, Any]) -> None:
        self.stage: str = description["stage"]
        self.inputs: Dict[str, str] = description["inputs"]
        self.output: str = description["output"]
        self.scratch: str = description["scratch"]
        self.parameters: Dict[str, Any] = description["parameters"]
        self.cpus: int = description["cpus"]

    def read(self, kind: Callable[..., Parameters]) -> Parameters:
        """The parameters as ``kind``, one of stages/parameters.py.

        Raises:
            TypeError: the job file lacks one, or holds another.
        """
        return kind(**self.parameters)

    def out(self, *parts: str) -> str:
        """The path of a file in the output folder, its parent folders made."""
        path = os.path.join(self.output, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def progress(self, done: float, total: float, message: str = "") -> None:
        """Say how far the stage is; ``message`` is a few words such as ``loss 1.32``."""
        emit({"progress": {"done": done, "total": total, "message": message}})

    def metrics(self, **values: Any) -> None:
        """Report figures that belong to the artifact; a later value of the same name replaces the earlier."""
        emit({"metrics": values})

    def warn(self, message: str) -> None:
        """Report something that the user should know although the stage goes on."""
        emit({"warning": message})

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Around what a native library does with a file of the user's: if it crashes, the file is to blame."""
        emit({"reading": path})
        yield
        emit({"reading": ""})


def emit(event: Dict[str, Any]) -> None:
    """Write one event as one line, in one system call so that other processes' lines cannot split it."""
    sys.stdout.flush()
    os.write(1, (EVENT_MARK + json.dumps(event, sort_keys=True) + "\n").encode("utf-8"))


def run(main: Callable[[Job], None], argv: Optional[List[str]] = None) -> None:
    """Run ``main`` on the job file named on the command line and end the process with the contract's exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.exit("usage: python -m stages.<package>.<module> JOB.json")
    # A native library that crashes leaves in the log where it was called from.
    faulthandler.enable(2)
    parent.end_with_it()
    try:
        with open(arguments[0], encoding="utf-8") as stream:
            job = Job(json.load(stream))
        main(job)
    except BadInput as error:
        emit({"error": str(error)})
        sys.exit(EXIT_BAD_INPUT)
    except StageFailed as error:
        emit({"error": str(error)})
        sys.exit(EXIT_FAILED)
    except Exception as error:
        traceback.print_exc()
        told = sentence_of(error)
        bug = "%s: %s (a bug: the traceback is in the log)" % (type(error).__name__, error)
        emit({"error": told.text if told else _of_its_own_making(error) or bug})
        sys.exit(EXIT_BAD_INPUT if told and told.bad_input else EXIT_FAILED)


def _of_its_own_making(error: Exception) -> str:
    """What a library says with an OSError that the system does not know; empty for other errors."""
    if not isinstance(error, OSError):
        return ""
    where = " while writing or reading %s" % error.filename if error.filename else ""
    return "%s%s" % (error.strerror or error, where)
