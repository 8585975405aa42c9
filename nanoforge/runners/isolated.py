"""How a Python is started: never with the current folder, or what PYTHON... variables name, among what it imports."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

from nanoforge.files.paths import HOME

# For every Python, 3.6 too; no compiled modules in the clone, and lines as they are printed.
_FLAGS = ("-I", "-B", "-u")


def isolated(python: Path, module: str, *arguments: str, flags: Sequence[str] = ()) -> List[str]:
    """The command that runs a module of the clone, of the environment or of the standard library, as ``-m`` would.

    It can be started in any folder: a file there that is called as a module, such as ``json.py``, is not executed.

    Args:
        flags: more for the interpreter, such as ``-W``, ``ignore``.
    """
    return [str(python), *_FLAGS, *flags, str(HOME / "stages" / "start.py"), module, *arguments]
