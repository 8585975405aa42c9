"""The local runner: a stage as a child process in its virtual environment.

The stage sees a job file, read-only inputs and an empty output folder, and talks back through its standard output (see
stages/job.py). The child is a session of its own; it ends with all its children when the runner ends, in any way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Mapping, Optional

import psutil

from nanoforge.errors import BadInput, NanoforgeError, StageFailed
from nanoforge.folders import HOME

EVENT_MARK = "::nanoforge:: "
EXIT_BAD_INPUT = 2
GRACE_S = 10.0
MEMORY_CHECK_S = 0.5

# What a stage needs of the user's environment; nothing else gets in, so that no setting of a shell changes a result.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "OPENBLAS_CORETYPE")


@dataclass(frozen=True)
class Limits:
    """What a stage may use: processors (at least 1), and memory in MiB (0: no limit)."""

    cpus: int
    memory_mb: int


@dataclass
class Outcome:
    """What a stage said: figures of its artifact, warnings, and its own sentence about a failure."""

    metrics: Dict[str, Any] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)
    error: Optional[str] = None


@dataclass(frozen=True)
class Call:
    """One run of a stage: its program, where it runs, and what it is to do."""

    stage: str
    module: str
    python: Path
    inputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    output: Path
    scratch: Path
    log: Path
    limits: Limits


def run(call: Call, on_progress: Callable[[float, float, str], None], on_warning: Callable[[str], None]) -> Outcome:
    """Run the stage to its end.

    Raises:
        BadInput, StageFailed: with the stage's own sentence, and where its log is.
        KeyboardInterrupt: after the stage and its children have ended.
    """
    for folder in (call.output, call.scratch, call.log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    with open(call.log, "w", encoding="utf-8") as log:
        child = _start(call)
        memory = _MemoryWatch(child.pid, call.limits.memory_mb)
        threading.Thread(target=_end_what_is_left, args=(child,), daemon=True).start()
        try:
            _listen(child, log, outcome, on_progress, on_warning)
            code = child.wait()
        finally:
            memory.stop()
            end_group(child)
            _close_pipes(child)
    if code:
        raise _failure(call, code, outcome, memory.exceeded)
    return outcome


def _start(call: Call) -> subprocess.Popen[str]:
    job_file = call.scratch / "job.json"
    job_file.write_text(json.dumps(_job(call), indent=1, sort_keys=True), encoding="utf-8")
    processors = sorted(os.sched_getaffinity(0))[: call.limits.cpus]
    return subprocess.Popen(
        [str(call.python), "-W", "ignore::FutureWarning", "-m", call.module, str(job_file)],
        cwd=call.scratch,
        env=_environment(call.limits),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, processors),
    )


def _job(call: Call) -> Dict[str, Any]:
    return {
        "stage": call.stage,
        "inputs": {name: str(path) for name, path in call.inputs.items()},
        "output": str(call.output),
        "scratch": str(call.scratch),
        "parameters": dict(call.parameters),
        "cpus": call.limits.cpus,
    }


def _environment(limits: Limits) -> Dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(HOME),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(limits.cpus),
        "OPENBLAS_NUM_THREADS": str(limits.cpus),
        "TF_CPP_MIN_LOG_LEVEL": "1",
        "NANOFORGE_PARENT_PIPE": "1",
    }


def _listen(
    child: subprocess.Popen[str],
    log: IO[str],
    outcome: Outcome,
    on_progress: Callable[[float, float, str], None],
    on_warning: Callable[[str], None],
) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        log.write(line)
        log.flush()
        _, mark, event_text = line.partition(EVENT_MARK)
        if not mark:
            continue
        event = _event(event_text)
        if "progress" in event:
            progress = event["progress"]
            on_progress(progress["done"], progress["total"], progress["message"])
        elif "metrics" in event:
            outcome.metrics.update(event["metrics"])
        elif "warning" in event:
            outcome.warnings.append(event["warning"])
            on_warning(event["warning"])
        elif "error" in event:
            outcome.error = event["error"]


def _event(text: str) -> Dict[str, Any]:
    """The event of a line; empty where another process's output got into it."""
    try:
        event = json.loads(text)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def end_group(child: subprocess.Popen[str]) -> None:
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
    end_group(child)


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


def _failure(call: Call, code: int, outcome: Outcome, memory_exceeded: bool) -> NanoforgeError:
    kind = BadInput if outcome.error and code == EXIT_BAD_INPUT else StageFailed
    sentence = _failure_sentence(call, code, outcome, memory_exceeded)
    return kind(f"{sentence} Log: {call.log}", outcome.metrics)


def _failure_sentence(call: Call, code: int, outcome: Outcome, memory_exceeded: bool) -> str:
    if memory_exceeded:
        return (
            f"{call.stage} used more than the {call.limits.memory_mb} MiB that runner.memory_mb allows, so it was"
            " ended: raise the limit or make the work smaller (train.batch_size, model.input_size)."
        )
    if outcome.error:
        return f"{call.stage}: {outcome.error}"
    if code == -signal.SIGKILL:
        return f"{call.stage} was killed; most often the machine ran out of memory (see runner.memory_mb)."
    return f"{call.stage} ended with exit code {code} and said:\n{_tail(call.log)}\n"


def _tail(log: Path, lines: int = 10) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in text[-lines:])


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
