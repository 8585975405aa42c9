"""What can go wrong, as exit codes: 0 done, 1 a stage failed, 2 bad input, 3 environment not ready, 130 interrupted."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from stages.files import readable


class NanoforgeError(Exception):
    """One sentence for the user: what is wrong, where, what to do. Ends the command with ``exit_code``.

    ``metrics`` are the figures that a stage reported before it failed.
    """

    exit_code = 1

    def __init__(self, message: str, metrics: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(readable(message))
        self.metrics = dict(metrics or {})


class StageFailed(NanoforgeError):
    """A stage ran and did not make its artifact."""

    exit_code = 1


class DaemonLost(StageFailed):
    """A Docker daemon or the connection to it went away; the same command goes on once it is back."""


class Interrupted(NanoforgeError):
    """A stage ended because the user asked for it."""

    exit_code = 130


class BadInput(NanoforgeError):
    """What the user gave (config, option, file) cannot be used."""

    exit_code = 2


class EnvironmentNotReady(NanoforgeError):
    """Something the stage's environment needs is missing on this machine."""

    exit_code = 3
