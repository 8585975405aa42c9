"""Stage: all that the board needs, as the folder ``model`` and as one file, ``detector.pyz``, with its programs.

``model/samples.json`` is ``{"format": 1, "score_threshold", "pictures": [{"file": "samples/00.png", "source",
"detections": [{"class", "class_id", "score", "box"}], "truth": [{"class", "class_id", "box"}] or null}]}``: what the
reference finds on each, all that the model gives, boxes in pixels of the sample. The reference reads a .uff: without
one (scores of a softmax) no samples travel. See stages/jetson/model_files.py for ``checksums.json``.
"""

import json
import os
import shutil
from typing import Any, Dict, List, Tuple

from stages import disk, files, pixels
from stages.bundle import notice, pyz, samples
from stages.bundle.samples import ChosenSample
from stages.detect import description, detectors, pictures
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.jetson import engine_file, model, model_files
from stages.job import BadInput, Job, run
from stages.parameters import BundleParameters

UFF, BOXES = model.FILES["uff"], model.FILES["boxes"]
NEEDED, IF_THERE = (model.DESCRIPTION, model.LABELS), (UFF, model.FILES["onnx"], BOXES)
NOTICE, ARCHIVE = "NOTICE.txt", "detector.pyz"


def main(job: Job) -> None:
    """Write ``model/`` and ``detector.pyz`` of the input ``model``, with pictures of ``records`` where that is given.

    Raises:
        BadInput: an input is not what its stage made, or the records are of other classes.
        StageFailed: the disk takes no more.
    """
    parameters = job.read(BundleParameters)
    _copy(job)
    described = description.read(job.inputs["model"])
    chosen, found = _samples(job, parameters)
    calibration = _calibration(job, parameters, described)
    made = "records" not in job.inputs
    words = notice.text(
        parameters.name,
        described.named,
        described.height,
        described.width,
        _tensorflow(job),
        len(chosen),
        made,
        calibration,
    )
    disk.write(job.out("model", NOTICE), words.encode("utf-8"))
    held = _list(job, parameters.name)
    archive = job.out(ARCHIVE)
    with disk.writing(archive):
        pyz.write(archive, held)
    job.metrics(
        samples=len(chosen),
        detections=found,
        calibration_pictures=calibration,
        megabytes=round(os.path.getsize(archive) / 1048576, 1),
    )


def _copy(job: Job) -> None:
    folder = job.inputs["model"]
    for name in NEEDED + IF_THERE:
        source = os.path.join(folder, name)
        if os.path.isfile(source):
            target = job.out("model", name)
            with disk.writing(target):
                shutil.copyfile(source, target)
        elif name in NEEDED or (name == UFF and not os.path.isfile(os.path.join(folder, BOXES))):
            raise BadInput("There is no %s; is this the folder that convert made?" % source)


def _samples(job: Job, parameters: BundleParameters) -> Tuple[List[ChosenSample], int]:
    """The samples, and how many detections the reference finds on them; none without a .uff for it."""
    if not os.path.isfile(os.path.join(job.inputs["model"], UFF)):
        job.warn(
            "The model has no .uff for the reference to read, as none whose scores come from a softmax: no samples"
            " travel with it, and an engine of it cannot be proven on the board"
        )
        return [], 0
    detector = detectors.reference(job.inputs["model"])
    chosen = _chosen(job, parameters, detector)
    return chosen, _prove(job, parameters, detector, chosen)


def _chosen(job: Job, parameters: BundleParameters, detector: Detector) -> List[ChosenSample]:
    size = (detector.height, detector.width)
    if "records" in job.inputs:
        held = pictures.from_records(job.inputs["records"])
        return [samples.of(one, *size) for one in samples.chosen(held, parameters.samples, *size)]
    job.warn(
        "There are no records, so the samples are made pictures: they prove that the board computes the same, not how"
        " good the detector is"
    )
    return samples.made(parameters.samples, *size)


def _prove(job: Job, parameters: BundleParameters, detector: Detector, chosen: List[ChosenSample]) -> int:
    """Write the samples and what the reference finds on them; returns how many detections reach the threshold."""
    entries: List[Dict[str, Any]] = []
    enough = 0
    for number, sample in enumerate(chosen):
        name = "%s/%02d.png" % ("samples", number)
        disk.write(job.out("model", name), pixels.encode_png(sample.pixels))
        found = detector.detect(sample.pixels)
        enough += sum(one["score"] >= parameters.score_threshold for one in found)
        entries.append({"file": name, "source": sample.source, "detections": found, "truth": _named(detector, sample)})
        job.progress(number + 1, len(chosen), "the reference's detections")
    document = {"format": model_files.FORMAT, "score_threshold": parameters.score_threshold, "pictures": entries}
    _write_json(job.out("model", model_files.SAMPLES), document)
    return enough


def _named(detector: Detector, sample: ChosenSample) -> Any:
    if sample.truth is None:
        return None
    return [dict(box, **{"class": detector.class_name(box["class_id"])}) for box in sample.truth]


def _calibration(job: Job, parameters: BundleParameters, described: Description) -> int:
    """Write the training pictures that INT8 is to be calibrated with; returns how many there are."""
    count = parameters.calibration_pictures
    if not count:
        return 0
    if "records" not in job.inputs:
        raise BadInput("There are no records to take calibration pictures from; set bundle.calibration_pictures to 0")
    size = (described.height, described.width)
    held = pictures.from_records(job.inputs["records"], "train")
    for number, one in enumerate(samples.chosen(held, count, *size)):
        name = "%s/%02d.png" % (model_files.CALIBRATION, number)
        disk.write(job.out("model", name), pixels.encode_png(samples.of(one, *size).pixels))
    return min(count, len(held))


def _tensorflow(job: Job) -> str:
    """The TensorFlow that converted it, as model.json says."""
    with open(os.path.join(job.inputs["model"], model.DESCRIPTION), encoding="utf-8") as stream:
        return str(json.load(stream).get("tensorflow", "unknown"))


def _list(job: Job, name: str) -> Dict[str, str]:
    """Write ``checksums.json``; returns the path of each file by its name in ``model``."""
    folder = os.path.dirname(job.out("model", model_files.CHECKSUMS))
    held = {one.path: os.path.join(folder, one.path) for one in files.walk(folder).files}
    listed = {
        one: {"sha256": engine_file.sha256_of(path), "bytes": os.path.getsize(path)} for one, path in held.items()
    }
    path = os.path.join(folder, model_files.CHECKSUMS)
    _write_json(path, {"format": model_files.FORMAT, "name": name, "files": listed})
    return dict(held, **{model_files.CHECKSUMS: path})


def _write_json(path: str, value: Any) -> None:
    disk.write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("utf-8"))


if __name__ == "__main__":
    run(main)
