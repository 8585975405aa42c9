"""The local runner: a stage as a child process in its virtual environment.

The child is a session of its own; it ends with all its children when the runner ends, in any way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Dict, Optional

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
from nanoforge.stop import Stop

GRACE_S = 10.0
MEMORY_CHECK_S = 0.5

# What a stage needs of the user's environment; nothing else gets in, so that no setting of a shell changes a result.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "OPENBLAS_CORETYPE")


class LocalRunner:
    """Runs stages of one environment on this machine; see `nanoforge.runners.contract.Runner`."""

    name = "local"
    machine = "here"
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
    child = _start(run, python)
    memory = _MemoryWatch(child.pid, run.limits.memory_mb)
    threading.Thread(target=_end_what_is_left, args=(child,), daemon=True).start()
    stop.by(lambda: _end_group(child))
    try:
        assert child.stdout is not None
        for line in child.stdout:
            listener.line(line.rstrip("\n"))
        code = child.wait()
    finally:
        memory.stop()
        _end_group(child)
        _close_pipes(child)
    return ExitStatus(code, run.limits.memory_mb if memory.exceeded else 0)


def _start(run: StageRun, python: Path) -> subprocess.Popen[str]:
    cpus = processors(run.limits)
    inputs = {name: str(source.path) for name, source in run.inputs.items()}
    job_file = run.scratch / "job.json"
    job_file.write_text(run.job(inputs, str(run.output), str(run.scratch), cpus), encoding="utf-8")
    allowed = sorted(os.sched_getaffinity(0))[:cpus]
    return subprocess.Popen(
        [str(python), "-W", "ignore::FutureWarning", "-m", run.module, str(job_file)],
        cwd=run.scratch,
        env={**child_environment(cpus), "NANOFORGE_PARENT_PIPE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )


def _end_group(child: subprocess.Popen[str]) -> None:
    """End the child and everything it started: politely, then for good."""
    for signal_number, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(child.pid, signal_number)
        except ProcessLookupError:
            break
        if _group_ended(child, patience):
            break


def _end_what_is_left(child: subprocess.Popen[str]) -> None:
    """What a stage leaves running would hold its output open, and listening would never end."""
    child.wait()
    _end_group(child)


def _close_pipes(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()


def _group_ended(child: subprocess.Popen[str], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        child.poll()
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


class _MemoryWatch:
    """Ends a process tree that holds more memory than allowed.

    An address-space limit (RLIMIT_AS) would count what TensorFlow only reserves, so resident memory is summed instead.
    """

    def __init__(self, pid: int, limit_mb: int) -> None:
        self.exceeded = False
        self._pid = pid
        self._limit = limit_mb << 20
        self._stopped = threading.Event()
        if limit_mb:
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(MEMORY_CHECK_S):
            if _tree_memory(self._pid) > self._limit:
                self.exceeded = True
                os.killpg(self._pid, signal.SIGKILL)
                return


def _tree_memory(pid: int) -> int:
    """Resident bytes of a process and all its descendants."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.NoSuchProcess:
        return 0
