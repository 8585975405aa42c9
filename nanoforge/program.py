"""Invoke, but a misspelt task or option ends with the exit code of bad input."""

from __future__ import annotations

import sys
from typing import List, Optional

from invoke.exceptions import ParseError
from invoke.program import Program

from nanoforge.errors import BadInput


class TaskProgram(Program):
    """What runs tasks.py."""

    def run(self, argv: Optional[List[str]] = None, exit: bool = True) -> None:
        try:
            super().run(argv, exit)
        except SystemExit as end:
            if isinstance(end.__context__, ParseError):
                sys.exit(BadInput.exit_code)
            raise
