"""What all runners share: a stage's run and outcome, the stream of its lines, and how its end becomes one sentence.

A stage sees a job file, read-only inputs and an empty output folder, and talks back through its standard output (see
stages/job.py). Where it runs is a runner's business: `local` or `docker`.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Protocol, Tuple

from nanoforge.errors import BadInput, Interrupted, StageFailed
from nanoforge.files.selection import ALL_FILES, Selection
from nanoforge.stop import Stop
from stages.files import readable
from stages.job import EVENT_MARK, EXIT_BAD_INPUT

# A stage's files have the names that the host says, whatever the locale of the shell, machine or image; for Python 3.6
# the locale decides, later ones have a mode of their own. What cannot be printed is printed escaped.
SPEAKING_UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}

FINDINGS = "findings.jsonl"
"""In the scratch folder: what a stage has found in the user's data so far, for them to read if it fails."""

CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)
# What libraries print when they give up, and not what Python's faulthandler adds of where that was.
TELLING = re.compile(r"check failed|terminate called|what\(\):|fatal|assert|abort|error|exception", re.IGNORECASE)
FROM_WHERE = re.compile(r"\s|Traceback |Fatal Python error|(Current )?[Tt]hread 0x|Extension modules:")


@dataclass(frozen=True)
class Program:
    """What runs in an environment.

    Attributes:
        environment: service of compose.yml, whose lock files make the environment.
        module: run as ``python -m <module>``.
        gpu: whether it has use for a GPU.
        also: other environments that hold all it needs, for hosts.
    """

    name: str
    environment: str
    module: str
    gpu: bool = False
    also: Tuple[str, ...] = ()


class StageInput(NamedTuple):
    """A file or folder that a stage reads; ``digest`` of its contents where known, ``selection`` which files count."""

    path: Path
    digest: str = ""
    selection: Selection = ALL_FILES


@dataclass(frozen=True)
class Limits:
    """What a stage may use: processors (0: all), and memory in MiB (0: the environment's own limit)."""

    cpus: int
    memory_mb: int


@dataclass
class Outcome:
    """What a stage said: figures of its artifact, warnings, and its own sentence about a failure.

    Attributes:
        reading: the user's file that a native library works on; if that crashes, the file is to blame.
    """

    metrics: Dict[str, Any] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)
    error: Optional[str] = None
    reading: str = ""


@dataclass(frozen=True)
class StageRun:
    """One run of a stage: its program, and what it is to do.

    Attributes:
        work_id: tells this work apart from any other, and is the same when it is tried again.
        owner: the project, so that what a crash left of it can be found.
        changes: a folder of the machine that it runs on, which it may change; in a container it has the same path.
    """

    stage: str
    module: str
    inputs: Mapping[str, StageInput]
    parameters: Mapping[str, Any]
    output: Path
    scratch: Path
    log: Path
    limits: Limits
    work_id: str
    owner: str
    changes: Optional[str] = None

    def job(self, inputs: Mapping[str, str], output: str, scratch: str, cpus: int) -> str:
        """The text of the job file; paths as the stage sees them."""
        job = {
            "stage": self.stage,
            "inputs": dict(inputs),
            "output": output,
            "scratch": scratch,
            "parameters": dict(self.parameters),
            "cpus": cpus,
        }
        return json.dumps(job, indent=1, sort_keys=True)


class EventSink(NamedTuple):
    """Where a stage's progress (done, total, a few words) and warnings go."""

    on_progress: Callable[[float, float, str], None]
    on_warning: Callable[[str], None]


class Runner(Protocol):
    """One environment, ready to run stages in.

    Attributes:
        name: for people, such as `local` or `docker`.
        environment: what it is an environment of, as in the name of a lock file's folder or of a service.
        machine: whose memory stages take here; equal for runners that share it.
        shares_files: whether stages see this machine's files; else their inputs are sent.
        image: the id of the image, which belongs to a stage's recipe; empty while it is not built, None where the
            environment is not an image.
        reserves: bytes of memory that a stage may take at most; None where nothing bounds it.
        capacity: bytes of memory of the machine that it runs on.
    """

    name: str
    environment: str
    machine: str
    shares_files: bool

    @property
    def image(self) -> Optional[str]: ...

    @property
    def reserves(self) -> Optional[int]: ...

    @property
    def capacity(self) -> int: ...

    def prepare(self) -> None:
        """Make the environment if it is not there."""

    def tools(self) -> Dict[str, str]:
        """Name -> version of what is in the environment, for the artifact's record."""

    def run(self, run: StageRun, sink: EventSink, stop: Stop) -> Outcome:
        """Run the stage to its end.

        Raises:
            BadInput, StageFailed: with the stage's own sentence, and where its log is.
            Interrupted: ``stop`` was asked; the stage and its children have ended.
        """


class Listener:
    """Keeps a stage's lines in its log, and sorts out the events among them.

    Args:
        paths: path as the stage sees it -> path as the user knows it; sentences for people name the latter.
    """

    def __init__(self, log: IO[str], sink: EventSink, paths: Mapping[str, str] = {}) -> None:
        self.outcome = Outcome()
        self._log = log
        self._sink = sink
        self._paths = sorted(paths.items(), key=lambda path: -len(path[0]))

    def line(self, text: str) -> None:
        """Take one line, without its end."""
        self._log.write(text + "\n")
        self._log.flush()
        event = event_of(text)
        if event is not None:
            self._note(event)

    def _note(self, event: Dict[str, Any]) -> None:
        if "progress" in event:
            progress = event["progress"]
            self._sink.on_progress(progress["done"], progress["total"], progress["message"])
        elif "metrics" in event:
            self.outcome.metrics.update(event["metrics"])
        elif "warning" in event:
            self.outcome.warnings.append(self._as_known(event["warning"]))
            self._sink.on_warning(self.outcome.warnings[-1])
        elif "error" in event:
            self.outcome.error = self._as_known(event["error"])
        elif "reading" in event:
            self.outcome.reading = self._as_known(event["reading"])

    def _as_known(self, sentence: str) -> str:
        for inside, known in self._paths:
            sentence = sentence.replace(inside, known)
        return readable(sentence)


def event_of(line: str) -> Optional[Dict[str, Any]]:
    """The event that a line holds, empty where another process's output got into it; None: it is a plain line."""
    _, mark, text = line.partition(EVENT_MARK)
    if not mark:
        return None
    try:
        event = json.loads(text)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


class ExitStatus(NamedTuple):
    """How a stage ended: exit code (negative or over 128: by a signal), and the memory limit that it broke, in MiB."""

    code: int
    broken_memory_mb: int = 0

    @property
    def signal(self) -> Optional[signal.Signals]:
        """The signal that ended it."""
        number = -self.code if self.code < 0 else self.code - 128
        return signal.Signals(number) if number in {*signal.Signals} else None

    @property
    def crashed(self) -> bool:
        """Whether a native library ended it."""
        return self.signal in CRASHES


def outcome_or_raise(run: StageRun, status: ExitStatus, outcome: Outcome, stop: Stop) -> Outcome:
    """The outcome of a stage that ended well.

    Raises:
        NanoforgeError: it did not; of the kind that fits.
    """
    if stop.asked:
        raise Interrupted(f"{run.stage} was interrupted.")
    if not status.code and not status.broken_memory_mb:
        return outcome
    bad_input = status.code == EXIT_BAD_INPUT if outcome.error else status.crashed and bool(outcome.reading)
    kind = BadInput if bad_input else StageFailed
    sentence = _failure_sentence(run, status, outcome)
    stop_mark = "" if sentence.endswith((".", "!", "?")) else "."
    raise kind(f"{sentence}{stop_mark} Log: {run.log}", outcome.metrics)


def _failure_sentence(run: StageRun, status: ExitStatus, outcome: Outcome) -> str:
    if status.broken_memory_mb:
        return (
            f"{run.stage} used more than its {status.broken_memory_mb} MiB of memory, so it was ended: make the work"
            " smaller (train.batch_size, model.input_size) or raise the limit (runner.memory_mb; in containers also"
            " mem_limit in compose.yml)."
        )
    if outcome.error:
        return f"{run.stage}: {outcome.error}"
    return f"{run.stage} {_end_in_words(status, outcome.reading)}{_last_words(run.log)}"


def _end_in_words(status: ExitStatus, reading: str) -> str:
    if status.signal == signal.SIGKILL:
        return "was killed; most often the machine ran out of memory (see runner.memory_mb)."
    if status.signal == signal.SIGILL:
        return "used instructions that this machine's processor does not have (SIGILL): use a newer machine."
    if not status.signal:
        return f"ended with exit code {status.code}."
    if not status.crashed:
        return f"was ended from outside ({status.signal.name}); run the same command again."
    if reading:
        return f"crashed on {reading} ({status.signal.name}), which must be damaged or none of its kind: get it again."
    return f"crashed in one of its libraries ({status.signal.name}); run the same command again."


def _last_words(log: Path, most: int = 3) -> str:
    """What the stage printed last that may tell why it ended, events and traces left out."""
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip() and EVENT_MARK not in line and not FROM_WHERE.match(line)
    ]
    telling = [line for line in lines if TELLING.search(line)] or lines
    return f" It said: {' / '.join(telling[-most:])}" if telling else ""
