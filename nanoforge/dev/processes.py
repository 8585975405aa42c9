"""Commands beside each other: a line when one starts, a line when one ends, and what each printed where it failed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from typing import Deque, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from nanoforge.console import Bar, Console
from nanoforge.files.paths import HOME

LOOK_S = 0.2
TELL_S = 5.0
# pytest tears fixtures down after Ctrl-C; the containers' suite ends a Docker daemon and an SSH server there.
GRACE_S = 20.0
_PERCENT = re.compile(r"\[\s*(\d+)%\]\s*$")


class Command(NamedTuple):
    """What to run in the clone's folder, under a name for the user."""

    title: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


def run_beside(commands: Sequence[Command], at_a_time: int, console: Console) -> List[str]:
    """Run commands, at most so many at a time, in their order; returns the titles of those that failed.

    What a command prints is shown only if it fails. Whatever ends this, Ctrl-C too, ends what runs.
    """
    waiting: Deque[Command] = deque(commands)
    failed: List[str] = []
    with _ending_what_runs() as running:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                running.append(_Process(waiting.popleft(), console))
            time.sleep(LOOK_S)
            for process in [one for one in running if one.has_ended()]:
                running.remove(process)
                failed += [] if process.succeeded() else [process.title]
            for process in running:
                process.show_progress()
    return failed


def run_shown(commands: Sequence[Command], console: Console) -> List[str]:
    """:func:`run_beside`, but one after the other, and everything that they print is shown as it comes."""
    failed: List[str] = []
    for command in commands:
        with _ending_what_runs() as running:
            running.append(_Process(command, console, captured=False))
            while not running[0].has_ended():
                time.sleep(LOOK_S)
            failed += [] if running[0].succeeded() else [command.title]
    return failed


@contextlib.contextmanager
def _ending_what_runs() -> Iterator[List[_Process]]:
    running: List[_Process] = []
    try:
        yield running
    finally:
        for process in running:
            process.interrupt()
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: no patience left
            deadline = time.monotonic() + GRACE_S
            while time.monotonic() < deadline and not all(process.has_ended() for process in running):
                time.sleep(LOOK_S)
        for process in running:
            process.kill()


class _Process:
    """A command at work, in a process group of its own, and what it printed so far."""

    def __init__(self, command: Command, console: Console, captured: bool = True) -> None:
        self.title = command.title
        self._console = console
        self._lines: List[str] = []
        self._started = self._told = time.monotonic()
        console.say(f"{self.title}: starts")
        self._child = subprocess.Popen(
            list(command.arguments),
            cwd=HOME,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL if captured else None,
            stdout=subprocess.PIPE if captured else None,
            stderr=subprocess.STDOUT if captured else None,
            encoding="utf-8",
            errors="replace",
            start_new_session=captured,  # what is shown has the terminal: its Ctrl-C, and a debugger's prompt
        )
        self._reader: Optional[threading.Thread] = None
        self._display = contextlib.ExitStack()
        self._bar: Optional[Bar] = None
        if captured:
            self._bar = self._display.enter_context(console.bar(self.title))
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.append(line.rstrip("\n"))

    def show_progress(self) -> None:
        """Tell now and then for how long it has run, and the percentage of its tests where pytest printed one."""
        if self._bar and time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            percentages = (
                found.group(1) for line in reversed(self._lines) for found in [_PERCENT.search(line)] if found
            )
            self._bar.update(int(next(percentages, 0)), 100, f"{self._seconds():.0f} s")

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def succeeded(self) -> bool:
        """Whether it did, once it has ended; tells the user."""
        seconds = self._seconds()
        self._display.close()
        if self._reader:
            self._reader.join(5)  # what it left running might hold its output open
        failed = self._child.returncode != 0
        if failed:
            self._console.say("\n".join([f"--- {self.title} printed:", *self._lines]) if self._lines else "")
        words = f"{self.title}: {'failed' if failed else 'passed'} in {seconds:.0f} s"
        last = self._lines[-1].strip("= ") if self._lines else ""
        (self._console.warn if failed else self._console.say)(f"{words}{f' ({last})' if last else ''}")
        return not failed

    def interrupt(self) -> None:
        """Ask it to end, and what it started; one that has the terminal was asked by the same Ctrl-C."""
        if self._reader:
            self._signal_group(signal.SIGINT)

    def kill(self) -> None:
        """End it by force, and what it started if that is a group of its own."""
        self._display.close()
        if self._reader:
            self._signal_group(signal.SIGKILL)
        else:
            self._child.kill()
        self._child.wait()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
