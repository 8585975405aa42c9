"""Checkpoints of a train artifact, or of the scratch folder of a training that still runs: same layout in both."""

import glob
import json
import os
import re
from typing import Any, Dict, List, Optional

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from stages.job import BadInput

FOLDER = "checkpoints"
LIST = "checkpoints.json"


def prefix(step: int) -> str:
    """A checkpoint's prefix relative to its artifact."""
    return "%s/model.ckpt-%d" % (FOLDER, step)


def steps(folder: str) -> List[int]:
    """The steps whose checkpoints are complete, ascending; an index file is written last."""
    names = glob.glob(os.path.join(glob.escape(os.path.join(folder, FOLDER)), "model.ckpt-*.index"))
    return sorted(int(match.group(1)) for match in (re.search(r"-(\d+)\.index$", name) for name in names) if match)


def files(folder: str, step: int) -> List[str]:
    """Absolute paths of a checkpoint's files."""
    return sorted(glob.glob(glob.escape(os.path.join(folder, prefix(step))) + ".*"))


def remove(folder: str, step: int) -> None:
    """Delete a checkpoint, its index first, so that half a checkpoint is never taken for one."""
    for path in sorted(files(folder, step), key=lambda path: not path.endswith(".index")):
        os.remove(path)


def evaluated(folder: str) -> Dict[str, Any]:
    """``checkpoints.json``, or an empty list of checkpoints where none was evaluated yet.

    Raises:
        BadInput: the file is not JSON.
    """
    path = os.path.join(folder, LIST)
    if not os.path.exists(path):
        return {"tensorflow": tf.VERSION, "best": None, "last": None, "checkpoints": []}
    try:
        with open(path, encoding="utf-8") as stream:
            document: Dict[str, Any] = json.load(stream)
            return document
    except ValueError as error:
        raise BadInput("%s is not JSON (%s): run train again." % (path, error)) from error


def choose(folder: str, which: str) -> int:
    """The step of the checkpoint that ``which`` names: best, last or a step.

    Raises:
        BadInput: there is no such checkpoint; the message names those that are there.
    """
    there = steps(folder)
    if not there:
        raise BadInput("There is no checkpoint in %s yet." % os.path.join(folder, FOLDER))
    if which == "last":
        return there[-1]
    step = _best(folder) if which == "best" else _number(which)
    if step not in there:
        raise BadInput(
            "There is no checkpoint of step %d; there are those of %s, best and last."
            % (step, ", ".join(str(one) for one in there))
        )
    return step


def _best(folder: str) -> int:
    step: Optional[int] = evaluated(folder)["best"]
    if step is None:
        raise BadInput("No checkpoint was evaluated yet, so none is the best: ask for last, or wait.")
    return step


def _number(which: str) -> int:
    try:
        return int(which)
    except ValueError:
        raise BadInput("A checkpoint is best, last or a step, not %r." % which) from None


def tensorflow_version(folder: str, step: int) -> str:
    """The TensorFlow that wrote a checkpoint, as its .meta file says.

    Raises:
        BadInput: there is no .meta file that could say it.
    """
    path = os.path.join(folder, prefix(step) + ".meta")
    try:
        with open(path, "rb") as stream:
            meta = meta_graph_pb2.MetaGraphDef.FromString(stream.read())
    except Exception as error:  # OSError, or protobuf's DecodeError
        raise BadInput(
            "%s cannot be read (%s), so nobody can tell which TensorFlow wrote the checkpoint; train again "
            "with TensorFlow %s." % (path, error, tf.VERSION)
        ) from error
    version: str = meta.meta_info_def.tensorflow_version
    return version
