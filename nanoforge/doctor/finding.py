"""What `doctor` finds, and how bad it is."""

from __future__ import annotations

from typing import NamedTuple

from nanoforge.errors import EnvironmentNotReady

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
EXIT_CODES = {OK: 0, NOTE: 0, WARNING: 1, ERROR: EnvironmentNotReady.exit_code}


class MachineFinding(NamedTuple):
    """One thing that was checked; ``remedy`` is empty where nothing is to do."""

    name: str
    severity: str
    message: str
    remedy: str
