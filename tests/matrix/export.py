"""Exports detectors with the TensorFlow and the object_detection code at hand, and says what they compute.

``python export.py JOB.json``; the job holds ``cases`` (lists as :class:`cases.Case`), ``pictures`` (a folder of JPEGs)
and ``out``. Makes a folder for each case that has none yet: ``frozen_inference_graph.pb``, ``pipeline.config``, and
``golden.npz`` with ``pixels`` (uint8 [n, h, w, 3]), ``boxes`` (float32 [n, P, 4]) and ``classes`` (float32 [n, P, C]),
the heads that this TensorFlow computes.
"""

import json
import os
import sys
from typing import Any, Dict, List

import cases
import numpy as np
import ssd_graphs
import tensorflow as tf

from stages import pixels

GOLDEN_PICTURES = 4
# What object_detection calls the concatenated heads. The converter finds them without their names, and must agree.
BOXES, CLASSES = "concat:0", "concat_1:0"


def export(case: cases.Case, pictures: str, out: str) -> None:
    """Write the export folder of ``case`` below ``out``.

    Raises:
        ValueError: another TensorFlow runs this than the case asks for.
    """
    if not tf.__version__.startswith(case.tensorflow + "."):
        raise ValueError("This is TensorFlow %s, not %s" % (tf.__version__, case.tensorflow))
    folder = os.path.join(out, cases.folder(case))
    if os.path.isfile(os.path.join(folder, "golden.npz")):  # made by an earlier run
        return
    os.makedirs(folder, exist_ok=True)
    options = cases.DETECTORS[case.detector]
    text = ssd_graphs.pipeline(**options)
    definition = ssd_graphs.build(text, case.fixed)
    with open(os.path.join(folder, "frozen_inference_graph.pb"), "wb") as graph:
        graph.write(definition.SerializeToString(deterministic=True))
    with open(os.path.join(folder, "pipeline.config"), "w") as config:
        config.write(text)
    half_made = os.path.join(folder, "half-made.npz")
    np.savez(half_made, **golden(definition, read(pictures, options["size"])))
    os.rename(half_made, os.path.join(folder, "golden.npz"))


def read(folder: str, size: int) -> np.ndarray:
    """The first pictures of ``folder`` as uint8 RGB [n, size, size, 3]."""
    names = sorted(os.listdir(folder))[:GOLDEN_PICTURES]
    found = []
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            found.append(pixels.resize(pixels.decode(stream.read()), size, size))
    return np.stack(found)


def golden(definition: Any, pictures: np.ndarray) -> Dict[str, np.ndarray]:
    """The heads of the graph as it was exported, picture by picture, on one thread and without rewrites."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    boxes: List[np.ndarray] = []
    classes: List[np.ndarray] = []
    with tf.Session(graph=graph, config=ssd_graphs.one_thread()) as session:
        for picture in pictures:
            found = session.run([BOXES, CLASSES], {"image_tensor:0": picture[np.newaxis]})
            boxes.append(found[0].reshape(-1, 4))
            classes.append(found[1][0])
    return {"pixels": pictures, "boxes": np.stack(boxes), "classes": np.stack(classes)}


if __name__ == "__main__":
    tf.logging.set_verbosity(tf.logging.ERROR)
    with open(sys.argv[1]) as job_file:
        job = json.load(job_file)
    for one in job["cases"]:
        export(cases.Case(*one), job["pictures"], job["out"])
