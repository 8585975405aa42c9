"""Stage: the detector put where jetson-inference's detectNet finds it, for its programs and for its Python.

detectNet hands .uff models blue first and from -1 to 1; the detector that goes there has its first convolution turned
round accordingly (swap_channels.py). No engine is installed: see jetson_inference.py.
"""

import json
import os
from typing import Any, Dict, List, Optional

from stages import files
from stages.detect import description
from stages.detect.description import Description
from stages.jetson import generations, jetson_inference, jetson_inference_release, libraries, model
from stages.jetson.jetson_inference import DetectNetModel, Place
from stages.jetson.model import Model
from stages.jetson.swap_channels import swapped
from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import InstallParameters

RESULT = "install.json"
# Where detectnet looks after the current folder: a link to the clone that was built last.
LINK = "/usr/local/bin/networks"
# As reported for SSD-Mobilenet-v2 on a Nano.
MINUTES = 5
# What detectNet feeds: pixel * 2 / 255 - 1.
SCALE, OFFSET = 2 / 255, -1.0


def main(job: Job) -> None:
    """Install the input ``model``, or look whether it is; writes ``install.json``.

    Raises:
        BadInput: the model is none for detectNet, or the folder no jetson-inference that could load it.
        StageFailed: the folder cannot be written, or (``check``) holds something else.
    """
    parameters = job.read(InstallParameters)
    given = model.read(job.inputs["model"], generations.UFF, job.scratch)
    version = _tensorrt()
    described = description.read(given.folder)
    made = of(given, described)
    release = jetson_inference_release.find(parameters.folder)
    where = jetson_inference.place(release, parameters.name, made)
    if parameters.check:
        wrong = jetson_inference.check(where, made)
        if wrong:
            raise StageFailed("The detector is not as it was installed: %s; install it again" % "; ".join(wrong))
        done: List[str] = []
    else:
        done = jetson_inference.install(where, made)
    for words in warnings(where, described):
        job.warn(words)
    with open(job.out(RESULT), "w", encoding="utf-8") as stream:
        json.dump(result(where, done, version), stream, indent=1, ensure_ascii=False)
    for words in [*done, *jetson_inference.commands(where)]:
        print(words)
    job.metrics(network=where.network, changes=len(done))


def of(given: Model, described: Description) -> DetectNetModel:
    """What detectNet gets of the model.

    Raises:
        BadInput: its input is not what detectNet feeds, or its channels cannot be swapped.
    """
    if abs(described.scale - SCALE) > 1e-4 or abs(described.offset - OFFSET) > 1e-2:
        raise BadInput(
            "detectNet feeds numbers from -1 to 1, and this detector takes pixel * %g + %g; run it with detect instead"
            % (described.scale, described.offset)
        )
    data = files.read(given.path)
    return DetectNetModel(
        data if described.swapped else swapped(data, given.path),
        jetson_inference.labels_file(described.classes),
        given.input,
        described.shape,
        *described.outputs,
    )


def warnings(where: Place, described: Description) -> List[str]:
    """What works, and yet not as one might think; a sentence each."""
    found = []
    if "void" in described.named:
        found.append("detectNet hides what it finds of the class void; name the class otherwise")
    foreign = [name for name in described.classes if not all(" " <= letter <= "~" for letter in name)]
    if foreign:
        found.append("detectNet's font has ASCII only: %s is drawn without its letters" % foreign[0])
    if os.path.exists(LINK) and os.path.realpath(LINK) != where.release.networks:
        found.append(
            "%s leads to %s: detectnet finds this detector only if it is started in the folder above %s"
            % (LINK, os.path.realpath(LINK), where.release.networks)
        )
    return found


def result(where: Place, done: List[str], tensorrt: Optional[str]) -> Dict[str, Any]:
    """What ``install.json`` holds."""
    names = jetson_inference.engine_names(where, tensorrt)
    there = sorted(os.path.basename(path) for path in jetson_inference.engines(where))
    return {
        "format": 1,
        "network": where.network,
        "folder": where.folder,
        "model": where.model,
        "labels": where.labels,
        "done": done,
        "commands": jetson_inference.commands(where),
        "python": 'jetson.inference.detectNet("%s")' % where.network,
        "engine": {"built_by": "detectNet, when it first runs", "minutes": MINUTES, "names": names, "there": there},
    }


def _tensorrt() -> Optional[str]:
    """The version of TensorRT here; None where there is none, as before JetPack's is set up.

    Raises:
        BadInput: it has no UFF parser, so neither has detectNet.
    """
    try:
        trt = libraries.tensorrt()
    except StageFailed:
        return None
    if not hasattr(trt, "UffParser"):
        raise BadInput(
            "TensorRT %s has no UFF parser, so this board's detectNet loads no SSD of ours; use detect and build-engine"
            " with source boxes" % trt.__version__
        )
    return str(trt.__version__)


if __name__ == "__main__":
    run(main)
