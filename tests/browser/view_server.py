"""The viewer's server over a build folder made for a test."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

from chromium import ROOT


class ViewServer:
    """Serves what view_project.py makes; ``address`` is where, without a slash at its end."""

    def __init__(self, folder: Path, kind: str) -> None:
        python, environment = os.environ["NANOFORGE_DATA_PYTHON"], dict(os.environ, PYTHONPATH=str(ROOT))
        build = str(folder / "build")
        made = [python, "tests/browser/view_project.py", kind, build]
        subprocess.run(made, check=True, cwd=str(ROOT), env=environment)
        self._process = subprocess.Popen(
            [python, "-I", "stages/start.py", "stages.view.server", build, "127.0.0.1", "0"],
            cwd=str(ROOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline().partition("::nanoforge:: ")[2])
        self.address = "http://127.0.0.1:%d" % said["listening"]

    def __enter__(self) -> "ViewServer":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._process.terminate()
        self._process.wait(30)
