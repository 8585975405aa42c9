"""Why a training failed or is worthless although it seemed to go well, in words that help."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from object_detection import inputs
from object_detection.data_decoders import tf_example_decoder

from stages.train.hook import Diverged
from stages.train.records import TRAINING, RecordSet

SMALL_BOX = 2.0  # pixels of the network's input; a smaller box matches no anchor, and its logarithm explodes
MOST_NAMED = 5


class Suspect(NamedTuple):
    """A picture's smallest box: its number from 1 (0: it has no box), its sides in pixels of the network's input."""

    name: str
    box: int
    width: float
    height: float


def divergence(event: Diverged, records: RecordSet, size: Tuple[int, int], own_config: bool = False) -> str:
    """What happened, the likely cause, the pictures to look at.

    Args:
        size: height and width that the network sees.
        own_config: what is trained is the user's own pipeline config, which says the learning rate itself.
    """
    suspects = sorted((_smallest_box(line, size) for line in _batch(event, records)), key=_smaller_side)
    small = [suspect for suspect in suspects if suspect.box and _smaller_side(suspect) < SMALL_BOX]
    cause = (
        "boxes that are too small at the network's size: correct or remove them"
        if small
        else _rate_words(event.learning_rate, own_config)
    )
    named = "; ".join(_words(suspect) for suspect in (small or suspects)[:MOST_NAMED])
    return "The loss became %s in step %d at a learning rate of %.2g. Likely cause: %s. Pictures of that step: %s." % (
        event.loss,
        event.step,
        event.learning_rate,
        cause,
        named,
    )


def _rate_words(rate: float, own_config: bool) -> str:
    if not rate > 0:
        return "a learning rate that is no positive number: correct the optimizer's in your own pipeline config"
    key = "a learning_rate of %.2g in your own pipeline config" if own_config else "train.learning_rate = %.2g"
    return "a learning rate that is too high: try " + key % (rate / 10)


def out_of_memory(batch_size: int, own_config: bool) -> str:
    """What to do about it; ``own_config``: as in :func:`divergence`."""
    keys = "train.batch_size (%d now) or model.input_size"
    if own_config:
        keys = "batch_size (%d now), or a smaller height and width, in your own pipeline config"
    return "Out of memory: choose a smaller %s." % (keys % batch_size)


def is_far_above(inference: float, training: float) -> bool:
    """Whether a loss in inference mode is so far above the training loss that it needs an explanation."""
    return inference > 2.0 * training + 1.0


def inference_gap(training: float, inference: float) -> Optional[str]:
    """What is wrong with a model whose losses on the training pictures lie far apart, or None.

    Args:
        training: loss while training, with BatchNorm's statistics of each batch.
        inference: loss on training pictures in inference mode, with BatchNorm's moving averages. Overfitting cannot
            lift it: only the averages can.
    """
    if not is_far_above(inference, training):
        return None
    return (
        "The model learned (training loss %.2f) but does not work in inference mode (loss %.2f on the same "
        "pictures): BatchNorm's moving averages have not followed the weights. Remedy: train longer, or set "
        "override_base_feature_extractor_hyperparams: true and a smaller batch_norm decay, such as 0.99, in your "
        "own pipeline config." % (training, inference)
    )


def damage(records: RecordSet, splits: Sequence[str], error: tf.errors.DataLossError) -> str:
    """Which shard of the splits made a graph end with ``error``."""
    what = error.message.split("\n")[0]
    path = damaged_shard([os.path.join(records.folder, shard) for split in splits for shard in records.shards(split)])
    if path:
        return "The shard %s is damaged (%s): run records again." % (path, what)
    return "The records in %s could not be read (%s), and now they can: run it again." % (records.folder, what)


def undecodable(records: RecordSet, splits: Sequence[str]) -> Optional[str]:
    """Which record of the splits is whole but cannot be decoded, as one that another program wrote; None: all can."""
    lines = {
        shard: [line for line in records.index[split] if line["shard"] == shard]
        for split in splits
        for shard in records.shards(split)
    }
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string, [])
        tensors = tf_example_decoder.TfExampleDecoder().decode(content)
        for shard in lines:
            path = os.path.join(records.folder, shard)
            for number, data in enumerate(tf.python_io.tf_record_iterator(path)):
                try:
                    session.run(tensors, {content: data})
                except tf.errors.InvalidArgumentError as error:
                    return "The record %s in the shard %s cannot be decoded (%s): run records again." % (
                        lines[shard][number]["source_id"],
                        path,
                        error.message.split("\n")[0].split("\t")[0].strip(),
                    )
    return None


def damaged_shard(paths: Sequence[str]) -> Optional[str]:
    """The first TFRecord file that cannot be read to its end."""
    for path in paths:
        try:
            for _ in tf.python_io.tf_record_iterator(path):
                pass
        except tf.errors.DataLossError:
            return path
    return None


def _batch(event: Diverged, records: RecordSet) -> List[Dict[str, Any]]:
    lines = records.index[TRAINING]
    with tf.Graph().as_default(), tf.Session() as session:
        names = [line["source_id"] for line in lines]
        hashes = session.run(tf.cast(tf.string_to_hash_bucket_fast(names, inputs.HASH_BINS), tf.int32))
    return [line for line, value in zip(lines, hashes) if value in event.pictures]


def _smallest_box(line: Dict[str, Any], size: Tuple[int, int]) -> Suspect:
    sides = [((xmax - xmin) * size[1], (ymax - ymin) * size[0]) for ymin, xmin, ymax, xmax in line["boxes"]]
    if not sides:
        return Suspect(line["source_id"], 0, np.inf, np.inf)
    number = min(range(len(sides)), key=lambda index: min(sides[index]))
    return Suspect(line["source_id"], number + 1, *sides[number])


def _smaller_side(suspect: Suspect) -> float:
    return min(suspect.width, suspect.height)


def _words(suspect: Suspect) -> str:
    if not suspect.box:
        return "%s (no box)" % suspect.name
    return "%s (its smallest box, number %d, has %.1f x %.1f pixels)" % suspect
