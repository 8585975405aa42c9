"""`python -m nanoforge TASK`, which is what `./run TASK` calls: this clone's tasks.py, from any folder."""

from __future__ import annotations

import gc
import sys

from nanoforge.endings import ending_in_a_sentence


def main() -> None:
    """Run the tasks named on the command line."""
    with ending_in_a_sentence():
        # Imported in here, so that Ctrl-C ends in a sentence at this moment, too. Modules are no garbage to look for:
        # that would be a tenth of what a short command takes.
        gc.disable()
        from invoke.collection import Collection

        import tasks
        from nanoforge import __version__
        from nanoforge.command_line import CommandLine

        gc.freeze()
        gc.enable()
        namespace = Collection.from_module(tasks)
        program = CommandLine(name="Nanoforge", binary="run", version=__version__, namespace=namespace)
        # Invoke would forbid compiled modules to be kept; `./run` has given them a folder of their own.
        keep_compiled = ["--write-pyc"] if sys.pycache_prefix else []
        program.run(["run", *keep_compiled, *sys.argv[1:]])


if __name__ == "__main__":
    main()
