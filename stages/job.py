"""The handshake between the host and a stage: one job file in, one event stream out.

A stage is a module with ``main(job)``, started as ``python -m stages.<package>.<module> JOB.json`` in its environment.
The job file is JSON::

    {"stage": "records",
     "inputs": {"photos": "/absolute/path", ...},     read-only files or folders
     "output": "/absolute/empty/folder",              what the stage makes, and nothing else
     "scratch": "/absolute/folder",                   survives a crash of the same job: checkpoints, half-made work
     "parameters": {...},                             plain JSON values
     "cpus": 2}                                       how many processors the stage may use

A stage prints plain log lines. Events are lines that hold ``EVENT_MARK`` followed by one JSON object:
``{"progress": {"done": 3, "total": 10, "message": "..."}}``, ``{"metrics": {...}}``, ``{"warning": "..."}``,
``{"error": "..."}``, ``{"crash": "..."}``. Exit codes: 0 done, 1 failed, 2 bad input.

Standard library only, Python 3.6: this file is in every environment.
"""

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any, Callable, Dict, List, Optional, TypeVar

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

    def explain_crash(self, message: str) -> None:
        """Say beforehand what it means if compiled code ends this process from now on; then nobody is left to say it.

        ``message`` tells what is wrong with the input, as :class:`BadInput` does.
        """
        emit({"crash": message})


def emit(event: Dict[str, Any]) -> None:
    """Write one event as one line, in one system call so that other processes' lines cannot split it."""
    sys.stdout.flush()
    os.write(1, (EVENT_MARK + json.dumps(event, sort_keys=True) + "\n").encode("utf-8"))


def run(main: Callable[[Job], None], argv: Optional[List[str]] = None) -> None:
    """Run ``main`` on the job file named on the command line and end the process with the contract's exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.exit("usage: python -m stages.<package>.<module> JOB.json")
    with open(arguments[0], encoding="utf-8") as stream:
        job = Job(json.load(stream))
    _end_with_parent()
    try:
        main(job)
    except BadInput as error:
        emit({"error": str(error)})
        sys.exit(EXIT_BAD_INPUT)
    except StageFailed as error:
        emit({"error": str(error)})
        sys.exit(EXIT_FAILED)
    except OSError as error:
        traceback.print_exc()
        emit({"error": _os_error_sentence(error)})
        sys.exit(EXIT_FAILED)
    except Exception as error:
        traceback.print_exc()
        emit({"error": "%s: %s (a bug: the traceback is in the log)" % (type(error).__name__, error)})
        sys.exit(EXIT_FAILED)


def _os_error_sentence(error: OSError) -> str:
    where = " while writing or reading %s" % error.filename if error.filename else ""
    return "%s%s" % (error.strerror or error, where)


def _end_with_parent() -> None:
    """End this process and its children when the runner dies: the runner holds the other end of standard input.

    Only where the runner asks for it (NANOFORGE_PARENT_PIPE), so that a stage can be run by hand.
    """
    if os.environ.get("NANOFORGE_PARENT_PIPE") != "1":
        return

    def wait_for_end() -> None:
        while os.read(0, 4096):
            pass
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=wait_for_end, daemon=True).start()
