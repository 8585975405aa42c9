"""The local runner: a stage as a child process in its virtual environment.

The child is a session of its own; it ends with all its children when the runner ends, in any way.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional

import psutil

from nanoforge.console import Console
from nanoforge.containers.compose import Environment
from nanoforge.files.paths import HOME
from nanoforge.runners import virtual_environments
from nanoforge.runners.contract import (
    SPEAKING_UTF8,
    EventSink,
    ExitStatus,
    Limits,
    Listener,
    Outcome,
    StageRun,
    outcome_or_raise,
)
from nanoforge.runners.isolated import isolated
from nanoforge.sessions import Session
from nanoforge.stop import Stop

GRACE_S = 10.0
MEMORY_CHECK_S = 0.5

# What a stage needs of the user's environment; nothing else gets in, so that no setting of a shell changes a result.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "OPENBLAS_CORETYPE")


class LocalRunner:
    """Runs stages of one environment on this machine; see `nanoforge.runners.contract.Runner`."""

    name = "local"
    machine = "here"
    shares_files = True
    image: Optional[str] = None
    reserves: Optional[int] = None

    def __init__(self, environment: Environment, console: Console, python36: str) -> None:
        self.environment = environment.name
        self._made_from = environment
        self._console = console
        self._python36 = python36
        self._python: Optional[Path] = None

    @property
    def capacity(self) -> int:
        return psutil.virtual_memory().total

    def prepare(self) -> None:
        self._python = virtual_environments.ensure(self._made_from, self._console, self._python36)

    def tools(self) -> Dict[str, str]:
        assert self._python is not None
        return virtual_environments.describe(self._python)

    def run(self, run: StageRun, sink: EventSink, stop: Stop) -> Outcome:
        assert self._python is not None
        for folder in (run.output, run.scratch, run.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with open(run.log, "w", encoding="utf-8") as log:
            listener = Listener(log, sink)
            status = _run_child(run, self._python, listener, stop)
        return outcome_or_raise(run, status, listener.outcome, stop)


def processors(limits: Limits) -> int:
    """How many processors a stage gets here."""
    available = len(os.sched_getaffinity(0))
    return min(limits.cpus or available, available)


def child_environment(cpus: int) -> Dict[str, str]:
    """The environment variables of a stage, and of a shell that sees what a stage sees."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **kept,
        **SPEAKING_UTF8,
        "PYTHONPATH": str(HOME),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(cpus),
        "OPENBLAS_NUM_THREADS": str(cpus),
        "TF_CPP_MIN_LOG_LEVEL": "1",
    }


def _run_child(run: StageRun, python: Path, listener: Listener, stop: Stop) -> ExitStatus:
    session = _start(run, python)
    memory = _MemoryWatch(session, run.limits.memory_mb)
    threading.Thread(target=_end_what_is_left, args=(session,), daemon=True).start()
    stop.by(lambda: session.end(GRACE_S))
    try:
        for line in session.lines:
            listener.line(line.rstrip("\n"))
        session.wait()
    finally:
        memory.stop()
        session.end(GRACE_S)
        code = session.reap()
    return ExitStatus(code, run.limits.memory_mb if memory.exceeded else 0)


def _start(run: StageRun, python: Path) -> Session:
    cpus = processors(run.limits)
    inputs = {name: str(source.path) for name, source in run.inputs.items()}
    job_file = run.scratch / "job.json"
    job_file.write_text(run.job(inputs, str(run.output), str(run.scratch), cpus), encoding="utf-8")
    command = isolated(python, run.module, str(job_file), flags=("-W", "ignore::FutureWarning"))
    with _on_processors(cpus):
        return Session(command, run.scratch, child_environment(cpus))


@contextmanager
def _on_processors(count: int) -> Iterator[None]:
    """What this thread starts runs on so many processors: a child has those of the thread that starts it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _end_what_is_left(session: Session) -> None:
    """What a stage leaves running would hold its output open, and listening would never end."""
    session.wait()
    session.end(GRACE_S)


class _MemoryWatch:
    """Ends a session whose processes hold more memory than allowed.

    An address-space limit (RLIMIT_AS) would count what TensorFlow only reserves, so resident memory is summed instead.
    """

    def __init__(self, session: Session, limit_mb: int) -> None:
        self.exceeded = False
        self._session = session
        self._limit = limit_mb << 20
        self._stopped = threading.Event()
        if limit_mb:
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(MEMORY_CHECK_S):
            if sum(map(_resident, self._session.members())) > self._limit:
                self.exceeded = True
                self._session.signal(signal.SIGKILL)
                return


def _resident(process: psutil.Process) -> int:
    """Bytes of memory that the process holds; 0 where it has ended, or is not ours to see."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
