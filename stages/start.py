"""Start a module of the clone or of the environment: ``python -I /clone/stages/start.py MODULE ARGUMENT ...``.

``python -m`` would import from the current folder first, which may hold anything. ``-I`` keeps that folder, the user's
own packages and what PYTHON... variables say out; the clone, which has the stages, is added here. Standard library
only, Python 3.6.
"""

import io
import os
import runpy
import sys
from typing import Any, List

CLONE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main(argv: List[str]) -> None:
    """Run the module named first as ``python -m`` would."""
    if not sys.flags.isolated or len(argv) < 2:
        sys.exit("usage: python -I %s MODULE ARGUMENT ..." % argv[0])
    # Also for what the module starts, such as the programs by which pip builds packages.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    sys.stdout, sys.stderr = _in_utf8(sys.stdout), _in_utf8(sys.stderr)
    sys.path.insert(0, CLONE)
    from stages import parent

    parent.end_with_it()
    del argv[0]
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def _in_utf8(stream: Any) -> Any:
    """The stream, in UTF-8 whatever the locale is: a Python 3.6 knows no flag for that."""
    if stream is None or stream.encoding.lower() == "utf-8":
        return stream
    return io.TextIOWrapper(stream.detach(), "utf-8", "backslashreplace", line_buffering=True, write_through=True)


if __name__ == "__main__":
    main(sys.argv)
