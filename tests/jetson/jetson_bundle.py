"""A bundle of the tests' detector, as the stage makes it."""

import json
import os
import shutil
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "detect"))

from detect_data import photo, write_records  # noqa: E402, F401

from stages.bundle import bundle  # noqa: E402
from stages.job import Job  # noqa: E402
from tests.fakes.description import DESCRIPTION  # noqa: E402


def make_bundle(detector, folder):
    """The folder of the artifact, made in ``folder`` (a Path) of the .uff at the path ``detector``."""
    converted = folder / "convert"
    converted.mkdir()
    shutil.copy(detector, str(converted / "model.uff"))
    (converted / "model.json").write_text(json.dumps(DESCRIPTION))
    (converted / "labels.txt").write_text("BACKGROUND\ncone\nball\nmug\n")
    output, scratch = folder / "bundle", folder / "scratch"
    output.mkdir()
    scratch.mkdir()
    bundle.main(
        Job(
            {
                "stage": "bundle",
                "inputs": {"model": str(converted), "records": str(write_records(folder / "records"))},
                "output": str(output),
                "scratch": str(scratch),
                "parameters": {"name": "cones", "samples": 2, "calibration_pictures": 1, "score_threshold": 0.5},
                "cpus": 1,
            }
        )
    )
    return output
