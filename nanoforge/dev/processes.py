"""Commands beside each other: a line when one starts, a line when one ends, and what each printed where it failed."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import time
from collections import deque
from typing import Deque, Iterator, List, Mapping, NamedTuple, Sequence

from nanoforge.console import Console
from nanoforge.files.paths import HOME
from nanoforge.sessions import Session

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
    """:func:`run_beside`, but one after the other, and everything that they print is shown as it comes.

    They have the terminal: its Ctrl-C, and a debugger's prompt.
    """
    failed: List[str] = []
    for command in commands:
        console.say(f"{command.title}: starts")
        started = time.monotonic()
        with _ended(subprocess.Popen(list(command.arguments), cwd=HOME, env=dict(command.environment))) as child:
            code = child.wait()
        failed += [command.title] if code else []
        _tell_end(console, command.title, bool(code), time.monotonic() - started, [])
    return failed


@contextlib.contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Whatever ends this ends the child: as Ctrl-C does, which the child hears itself, and after a while by force."""
    try:
        yield child
    except KeyboardInterrupt as asked:
        if asked.args:  # by a signal that only this process got
            child.send_signal(signal.SIGINT)
        raise
    finally:
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):  # a second Ctrl-C: no patience left
            child.wait(GRACE_S)
        child.kill()
        child.wait()


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
    """A command at work, in a session of its own, and what it printed so far."""

    def __init__(self, command: Command, console: Console) -> None:
        self.title = command.title
        self._console = console
        self._lines: List[str] = []
        self._started = self._told = time.monotonic()
        console.say(f"{self.title}: starts")
        self._session = Session(command.arguments, HOME, command.environment)
        self._display = contextlib.ExitStack()
        self._bar = self._display.enter_context(console.bar(self.title))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._session.lines:
            self._lines.append(line.rstrip("\n"))

    def show_progress(self) -> None:
        """Tell now and then for how long it has run, and the percentage of its tests where pytest printed one."""
        if time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            percentages = (
                found.group(1) for line in reversed(self._lines) for found in [_PERCENT.search(line)] if found
            )
            self._bar.update(int(next(percentages, 0)), 100, f"{time.monotonic() - self._started:.0f} s")

    def has_ended(self) -> bool:
        return self._session.has_ended()

    def succeeded(self) -> bool:
        """Whether it did, once it has ended; tells the user, and ends what it has left running."""
        self._session.end(GRACE_S)
        self._display.close()
        self._reader.join()
        failed = self._session.reap() != 0
        if failed:
            self._console.say("\n".join([f"--- {self.title} printed:", *self._lines]) if self._lines else "")
        _tell_end(self._console, self.title, failed, time.monotonic() - self._started, self._lines)
        return not failed

    def interrupt(self) -> None:
        """Ask it to end, and what it started."""
        self._session.signal(signal.SIGINT)

    def kill(self) -> None:
        """End it by force, and what it started."""
        self._display.close()
        self._session.signal(signal.SIGKILL)
        self._session.reap()


def _tell_end(console: Console, title: str, failed: bool, seconds: float, lines: Sequence[str]) -> None:
    words = f"{title}: {'failed' if failed else 'passed'} in {seconds:.0f} s"
    last = lines[-1].strip("= ") if lines else ""
    (console.warn if failed else console.say)(f"{words}{f' ({last})' if last else ''}")
