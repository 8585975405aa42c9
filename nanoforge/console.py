"""What the user sees: lines, a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Iterator, Optional, Protocol, Tuple

from stages.files import readable

# Rich is imported with the first line that is said: what only looks, such as `status`, says none and does not wait.
if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress, ProgressColumn, TaskID

# Off a terminal (CI logs), one line in so many seconds is enough.
PLAIN_INTERVAL_S = 20.0


class Console:
    """Prints to standard error, so that standard output stays free for what machines read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Optional[Progress] = None
        self._bars = 0

    @cached_property
    def _rich(self) -> RichConsole:
        from rich.console import Console as RichConsole

        class TellingConsole(RichConsole):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # Rich would end the program here, with no words

        return TellingConsole(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self._rich.print(_escaped(text))

    def good(self, text: str) -> None:
        self._rich.print(f"[green]{_escaped(text)}[/green]")

    def warn(self, text: str) -> None:
        self._rich.print(f"[yellow]warning:[/yellow] {_escaped(text)}")

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        if self._rich.is_terminal:
            with self._rich.status(_escaped(text)):
                yield
        else:
            self.say(f"{text} …")
            yield

    @contextmanager
    def bar(self, title: str) -> Iterator[Bar]:
        """A progress bar; several may be open at the same time, in several threads."""
        if not self._rich.is_terminal:
            yield _PlainBar(self, title)
            return
        progress = self._open_progress()
        task = progress.add_task(title, total=None, title=title, message="")
        try:
            yield _RichBar(progress, task)
        finally:
            self._close_bar(progress, task)

    def _open_progress(self) -> Progress:
        """The one live display that all open bars share."""
        from rich.progress import Progress

        with self._lock:
            if self._progress is None:
                self._progress = Progress(*_columns(), console=self._rich, transient=True)
                self._progress.start()
            self._bars += 1
            return self._progress

    def _close_bar(self, progress: Progress, task: TaskID) -> None:
        with self._lock:
            progress.remove_task(task)
            self._bars -= 1
            if self._bars == 0:
                progress.stop()
                self._progress = None


def _escaped(text: str) -> str:
    """The text so that rich does not take its brackets for markup, and names that are not UTF-8 can be shown."""
    from rich.markup import escape

    return escape(readable(text))


def _columns() -> Tuple[ProgressColumn, ...]:
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[message]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


class Bar(Protocol):
    """Where a stage's progress goes."""

    def update(self, done: float, total: float, message: str) -> None:
        """``done`` of ``total`` steps, pictures or whatever the stage counts, and a few words."""


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, done: float, total: float, message: str) -> None:
        self._progress.update(self._task, completed=done, total=total, message=_escaped(message))


class _PlainBar:
    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last: Optional[Tuple[float, float]] = None  # when a line was said, and what was done then

    def update(self, done: float, total: float, message: str) -> None:
        now = time.monotonic()
        if self._last is not None and now - self._last[0] < PLAIN_INTERVAL_S:
            return
        left = _left(done, total, now, *self._last) if self._last else ""
        self._last = now, done
        self._console.say(f"  {self._title} {done:g} of {total:g}  {message}{left}".rstrip())


def _left(done: float, total: float, now: float, before: float, done_before: float) -> str:
    """How long it will take if it goes on as since ``before``; empty where nothing tells."""
    if not done_before < done < total:
        return ""
    seconds = (total - done) * (now - before) / (done - done_before)
    return f"  {timedelta(seconds=round(seconds))} left"


def print_json(value: Any) -> None:
    """Print for machines, on standard output."""
    json.dump(value, sys.stdout, indent=1, sort_keys=True)
    print()
