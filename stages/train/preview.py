"""Stage: validation pictures with truth and detections, from any checkpoint, also while training goes on."""

import os
from typing import Any, Dict, List, Set, Tuple

import numpy as np
import tensorflow as tf

from stages import drawing, pixels
from stages.job import Job, run
from stages.parameters import PreviewParameters
from stages.train import detections
from stages.train.records import VALIDATION, RecordSet
from stages.train.trained_model import TrainedModel

LONG_SIDE = 640  # of a drawing at most, in pixels
FRAME_HEAD, FRAME_TAIL = 12, 4  # bytes of a TFRecord before and after its data


def main(job: Job) -> None:
    parameters = job.read(PreviewParameters)
    trained = TrainedModel(job, parameters.checkpoint)
    results = trained.evaluate(parameters.pictures).results
    entries: List[Dict[str, Any]] = []
    names: Set[str] = set()
    for number, (line, result) in enumerate(zip(trained.records.index[VALIDATION], results), 1):
        entry = detections.entry(line, result, trained.records.classes, parameters.score_threshold)
        entry["drawing"] = drawing.free_name(_name(line), names)
        with open(job.out(entry["drawing"]), "wb") as stream:
            stream.write(pixels.encode_jpeg(_drawing(trained.records, line, entry)))
        entries.append(entry)
        job.progress(number, len(results), line["source_id"])
    detections.write(job.out("detections.json"), trained.name, parameters.score_threshold, entries, VALIDATION)
    job.metrics(step=trained.step, pictures=len(entries))


def _name(line: Dict[str, Any]) -> str:
    return "pictures/%s.jpg" % os.path.splitext(line["source_id"])[0].replace("/", "_")


def _drawing(records: RecordSet, line: Dict[str, Any], entry: Dict[str, Any]) -> np.ndarray:
    """The record's pixels in the proportions of the original picture, with its boxes: uint8 RGB."""
    scale = min(1.0, LONG_SIDE / max(line["width"], line["height"]))
    height, width = (max(1, int(round(side * scale))) for side in (line["height"], line["width"]))
    picture = pixels.resize(_pixels(records, line), height, width)
    shares = width / line["width"], height / line["height"]
    return drawing.draw(
        picture, [_scaled(one, shares) for one in entry["detections"]], [_scaled(one, shares) for one in entry["truth"]]
    )


def _scaled(box: Dict[str, Any], shares: Tuple[float, float]) -> Dict[str, Any]:
    return dict(box, box=[edge * share for edge, share in zip(box["box"], shares * 2)])


def _pixels(records: RecordSet, line: Dict[str, Any]) -> np.ndarray:
    with open(os.path.join(records.folder, line["shard"]), "rb") as stream:
        stream.seek(line["offset"] + FRAME_HEAD)
        data = stream.read(line["length"] - FRAME_HEAD - FRAME_TAIL)
    example = tf.train.Example.FromString(data)
    return pixels.decode(example.features.feature["image/encoded"].bytes_list.value[0])


if __name__ == "__main__":
    run(main)
