"""Checkpoints of a train artifact, or of the scratch folder of a training that still runs: same layout in both."""

import glob
import json
import os
import re
from contextlib import contextmanager
from typing import Iterator, List, Optional

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from stages.job import BadInput
from stages.train import durable

FOLDER = "checkpoints"
LIST = "checkpoints.json"
NEWEST = "checkpoint"  # TensorFlow's own file


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


def sync(folder: str, step: int) -> None:
    """Bring a checkpoint that was just saved to the disk."""
    for path in files(folder, step) + [os.path.join(folder, FOLDER)]:
        durable.sync(path)


def recover(folder: str) -> List[int]:
    """Remove the checkpoints that are damaged inside, and let TensorFlow go on from the newest of the others.

    TensorFlow itself goes by a file that names the newest; empty after a power cut, it would start from nothing.

    Returns:
        the steps of those that were removed.
    """
    damaged = [step for step in steps(folder) if not _is_whole(folder, step)]
    for step in damaged:
        remove(folder, step)
    there = steps(folder)
    if there:
        tf.train.update_checkpoint_state(os.path.join(folder, FOLDER), os.path.join(folder, prefix(there[-1])))
    elif os.path.exists(os.path.join(folder, FOLDER, NEWEST)):
        os.remove(os.path.join(folder, FOLDER, NEWEST))
    return damaged


def _is_whole(folder: str, step: int) -> bool:
    """Whether every weight can be read, its checksum included, and the graph is there."""
    try:
        reader = tf.train.NewCheckpointReader(os.path.join(folder, prefix(step)))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
        return bool(tensorflow_version(folder, step))
    except (tf.errors.OpError, BadInput):
        return False


@contextmanager
def restoring(path: str) -> Iterator[None]:
    """Around what reads the weights of the checkpoint with the prefix ``path`` into a model.

    Raises:
        BadInput: they are damaged or missing, or those of another model.
    """
    try:
        yield
    except (tf.errors.OpError, ValueError) as error:
        raise BadInput(
            "The checkpoint %s does not fit the pipeline.config beside it, or is damaged: %s"
            % (path, str(getattr(error, "message", error)).split("\n")[0])
        ) from error


def _best(folder: str) -> int:
    path = os.path.join(folder, LIST)
    try:
        with open(path, encoding="utf-8") as stream:
            step: Optional[int] = json.load(stream)["best"]
    except FileNotFoundError:
        step = None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadInput("%s is damaged (%s): run train again." % (path, error)) from error
    if step is None:
        raise BadInput("No checkpoint was evaluated yet, so none is the best: ask for last, or wait.")
    if not isinstance(step, int):
        raise BadInput("%s is damaged (its best step is %r): run train again." % (path, step))
    return step


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
