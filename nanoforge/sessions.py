"""A child process with all that it starts, as one: a session of its own, which is ended whole.

The child, which leads the session, is not reaped while anything of the session may live. Until then no other process
can get its id, which is the session's too, so that no signal goes astray.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, List, Mapping, Sequence

import psutil

from stages.parent import PIPE

LOOK_S = 0.02


class Session:
    """A command that runs; it is told by its standard input when this process is gone (see stages/parent.py).

    Attributes:
        lines: what it prints on both streams; at its end once nothing of the session runs.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._child = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**environment, PIPE: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        assert self._child.stdout is not None
        self.lines: IO[str] = self._child.stdout
        self._reaping = threading.Lock()

    def has_ended(self) -> bool:
        """Whether the command has; what it started may still run."""
        return self._look(os.WNOHANG)

    def wait(self) -> None:
        """Until the command has ended."""
        self._look(0)

    def _look(self, how: int) -> bool:
        try:
            return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT | how) is not None
        except ChildProcessError:  # reaped meanwhile
            return True

    def members(self) -> List[psutil.Process]:
        """All processes of the session that run."""
        with self._reaping:
            if self._child.returncode is not None:
                return []
            return [process for pid in psutil.pids() for process in self._running_member(pid)]

    def _running_member(self, pid: int) -> List[psutil.Process]:
        try:
            if os.getsid(pid) != self._child.pid:
                return []
            process = psutil.Process(pid)
            return [process] if process.status() != psutil.STATUS_ZOMBIE else []
        except (psutil.Error, ProcessLookupError):
            return []

    def signal(self, number: int) -> None:
        """Send a signal to all of the session; none where it has been reaped."""
        with self._reaping:
            if self._child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, number)
        for process in self.members():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) != self._child.pid:  # it made a group of its own
                    process.send_signal(number)

    def end(self, patience: float) -> None:
        """End all of the session: politely, then, after so many seconds, for good."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.members():
                break
            self.signal(number)
            self._wait_until_empty(patience)

    def _wait_until_empty(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while self.members() and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def reap(self) -> int:
        """The command's exit code, or minus the signal that ended it; from now on the session is nothing any more."""
        self.wait()
        with self._reaping:
            code = self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code
