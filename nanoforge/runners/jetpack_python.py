"""The Python of a Jetson's own system, for which alone JetPack has TensorRT and OpenCV.

A virtual environment of it sees these packages; to them it adds pycuda, compiled against the board's CUDA.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, Tuple

from nanoforge.containers import compose
from nanoforge.containers.jetpack import device_l4t
from nanoforge.errors import EnvironmentNotReady
from nanoforge.files.paths import user_path

USUAL = "/usr/bin/python3"
SEES_THE_SYSTEMS_PACKAGES = "--system-site-packages"
# Where JetPack has nvcc and cuda.h, which the PATH of a fresh board does not name.
CUDA = "/usr/local/cuda/bin"
# Module -> the package of JetPack's or Ubuntu's that has it.
NEEDED = {"tensorrt": "python3-libnvinfer", "numpy": "python3-numpy", "cv2": "libopencv-python"}
IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit("%s %s" % (name, error))
"""


def stated() -> Path:
    """The Python that stands for JetPack's: `JETSON_PYTHON`, where that is set."""
    return user_path(compose.variables().get("JETSON_PYTHON") or USUAL)


def release() -> str:
    """What belongs to the name of an environment beside its Python: another JetPack has another CUDA."""
    return device_l4t() or ""


def check(python: Path) -> None:
    """Whether this Python has what JetPack brings.

    Raises:
        EnvironmentNotReady: it has not; says what is missing, and how it gets there.
    """
    name, why = _missing(python, *NEEDED)
    if name:
        raise EnvironmentNotReady(
            f"{python} has no {name} ({why}): on a Jetson it comes with JetPack (`sudo apt install {NEEDED[name]}`);"
            " JETSON_PYTHON names another Python."
        )


def has_pycuda(python: Path) -> bool:
    """Whether it is there already, so that nothing has to be compiled."""
    return not _missing(python, "pycuda.driver")[0]


def installing() -> Dict[str, str]:
    """The variables with which pycuda is compiled."""
    return {"PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), CUDA])}


def _missing(python: Path, *modules: str) -> Tuple[str, str]:
    """The first of these modules that cannot be imported, and why."""
    command = [str(python), "-I", "-B", "-c", IMPORT, *modules]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode == 0:
        return "", ""
    said = (done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"])[-1]
    name, _, why = said.partition(" ")
    return (name, why) if name in modules else (modules[0], said)
