"""What the user sees: lines, a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Iterator, Optional, Protocol

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Off a terminal (CI logs), one line in so many seconds is enough.
PLAIN_INTERVAL_S = 20.0


class Console:
    """Prints to standard error, so that standard output stays free for what machines read."""

    def __init__(self) -> None:
        self._rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self._rich.print(escape(text))

    def good(self, text: str) -> None:
        self._rich.print(f"[green]{escape(text)}[/green]")

    def warn(self, text: str) -> None:
        self._rich.print(f"[yellow]warning:[/yellow] {escape(text)}")

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        if self._rich.is_terminal:
            with self._rich.status(escape(text)):
                yield
        else:
            self.say(f"{text} …")
            yield

    @contextmanager
    def bar(self, title: str) -> Iterator[Bar]:
        """A progress bar for one stage."""
        if not self._rich.is_terminal:
            yield _PlainBar(self, title)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[title]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[message]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._rich, transient=True) as progress:
            yield _RichBar(progress, progress.add_task(title, total=None, title=title, message=""))


class Bar(Protocol):
    """Where a stage's progress goes."""

    def update(self, done: float, total: float, message: str) -> None:
        """``done`` of ``total`` steps, pictures or whatever the stage counts, and a few words."""


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, done: float, total: float, message: str) -> None:
        self._progress.update(self._task, completed=done, total=total, message=escape(message))


class _PlainBar:
    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last: Optional[float] = None

    def update(self, done: float, total: float, message: str) -> None:
        now = time.monotonic()
        if self._last is not None and now - self._last < PLAIN_INTERVAL_S:
            return
        self._last = now
        self._console.say(f"  {self._title} {done:g} of {total:g}  {message}".rstrip())
