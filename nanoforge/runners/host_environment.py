"""The environment that Nanoforge itself runs in, made on the first `./run`; so this needs the standard library only.

``python -I stages/start.py nanoforge.runners.host_environment FOLDER``, by the Python that it is made from.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from nanoforge.errors import Interrupted, NanoforgeError
from nanoforge.files.atomic import marked_once
from nanoforge.files.paths import HOME, cache_in_use
from nanoforge.runners.installation import Installation

READY = "ready"


def main(folder: Path) -> int:
    """Make the environment, unless another process has by now; returns the exit code."""
    # As with Ctrl-C, what is half made is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with cache_in_use():
            marked_once(folder, READY, "the host environment", lambda: _make(folder), _say)
    except NanoforgeError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted; the host environment is not made yet.")
        return Interrupted.exit_code
    return 0


def _make(folder: Path) -> str:
    _say("making the host environment (once, a few seconds) ...")
    installation = Installation("host", folder)
    python = installation.venv(Path(sys.executable))
    installation.install(python, HOME / "requirements.lock")
    installation.done()
    return ""


def _say(text: str) -> None:
    print(f"run: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
