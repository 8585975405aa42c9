"""`python -m nanoforge TASK`, which is what `./run TASK` calls: Invoke on this clone's tasks.py, from any folder."""

from __future__ import annotations

import io
import sys
from typing import List, Optional

from invoke.exceptions import ParseError
from invoke.program import Program

from nanoforge import __version__
from nanoforge.errors import BadInput
from nanoforge.files.paths import HOME


class _Program(Program):
    """Invoke, but a misspelt task or option ends with the exit code of bad input."""

    def run(self, argv: Optional[List[str]] = None, exit: bool = True) -> None:
        try:
            super().run(argv, exit)
        except SystemExit as end:
            if isinstance(end.__context__, ParseError):
                sys.exit(BadInput.exit_code)
            raise


def main() -> None:
    """Run the tasks named on the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error: what cannot be shown ends no command
    program = _Program(name="Nanoforge", binary="run", version=__version__)
    # Invoke would forbid compiled modules to be kept; `./run` has given them a folder of their own.
    keep_compiled = ["--write-pyc"] if sys.pycache_prefix else []
    program.run(["run", *keep_compiled, "--search-root", str(HOME), *sys.argv[1:]])


if __name__ == "__main__":
    main()
