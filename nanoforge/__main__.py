"""`python -m nanoforge TASK`, which is what `./run TASK` calls: this clone's tasks.py, from any folder."""

from __future__ import annotations

import sys

from invoke.collection import Collection

import tasks
from nanoforge import __version__
from nanoforge.command_line import CommandLine


def main() -> None:
    """Run the tasks named on the command line."""
    program = CommandLine(name="Nanoforge", binary="run", version=__version__, namespace=Collection.from_module(tasks))
    # Invoke would forbid compiled modules to be kept; `./run` has given them a folder of their own.
    keep_compiled = ["--write-pyc"] if sys.pycache_prefix else []
    program.run(["run", *keep_compiled, *sys.argv[1:]])


if __name__ == "__main__":
    main()
