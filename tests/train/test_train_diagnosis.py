"""The sentences that say why a training failed or is worthless."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from object_detection import inputs

from stages.train import diagnosis
from stages.train.hook import Diverged
from stages.train.records import RecordSet

SIZE = (96, 96)
SPECK = [0.5, 0.5, 0.9, 0.51]  # 38.4 x 1.0 pixels of the network's input


@pytest.fixture
def records(records_folder):
    return RecordSet(records_folder)


def diverged(names, loss=float("nan"), learning_rate=0.02):
    """The event of a batch of these pictures, which the hook knows by object_detection's hashes only."""
    with tf.Graph().as_default(), tf.Session() as session:
        hashes = session.run(tf.cast(tf.string_to_hash_bucket_fast(names, inputs.HASH_BINS), tf.int32))
    return Diverged(7, loss, learning_rate, hashes)


def test_without_small_boxes_the_learning_rate_is_to_blame(records):
    told = diagnosis.divergence(diverged(["picture-02.png", "picture-05.png"]), records, SIZE)
    assert told.startswith("The loss became nan in step 7 at a learning rate of 0.02.")
    assert "try train.learning_rate = 0.002." in told
    assert "picture-02.png (its smallest box, number " in told and "picture-05.png" in told
    assert "picture-01" not in told


@pytest.mark.parametrize(("rate", "words"), [(0.02, "a learning_rate of 0.002 in"), (0.0, "is no positive number")])
def test_of_a_config_of_the_users_own_no_key_is_named_that_does_not_count(records, rate, words):
    told = diagnosis.divergence(diverged(["picture-02.png"], learning_rate=rate), records, SIZE, own_config=True)
    assert words in told and "in your own pipeline config" in told and "train." not in told
    assert "train." not in diagnosis.out_of_memory(8, own_config=True)


def test_small_boxes_are_to_blame_and_only_their_pictures_are_named(records):
    line = next(line for line in records.index["train"] if line["source_id"] == "picture-05.png")
    line["boxes"] = [*line["boxes"], SPECK]
    told = diagnosis.divergence(diverged(["picture-02.png", "picture-05.png"], np.inf), records, SIZE)
    assert "became inf" in told and "boxes that are too small" in told
    words = "picture-05.png (its smallest box, number %d, has 1.0 x 38.4 pixels)" % len(line["boxes"])
    assert told.endswith("Pictures of that step: %s." % words)


def test_a_picture_without_a_box_is_named_last(records):
    for line in records.index["train"]:
        line["boxes"] = [] if line["source_id"] == "picture-01.png" else line["boxes"]
    told = diagnosis.divergence(diverged(["picture-01.png", "picture-02.png"]), records, SIZE)
    assert told.endswith("; picture-01.png (no box).")


def test_at_most_five_pictures_are_named(records):
    told = diagnosis.divergence(diverged([line["source_id"] for line in records.index["train"]]), records, SIZE)
    assert told.count(".png") == 5


@pytest.mark.parametrize("training, inference, told", [(0.5, 1.9, False), (0.5, 2.1, True), (10.0, 20.0, False)])
def test_a_gap_is_explained_where_it_is_wide(training, inference, told):
    sentence = diagnosis.inference_gap(training, inference)
    assert diagnosis.is_far_above(inference, training) == told
    assert (sentence is not None) == told
    if told:
        assert "(training loss 0.50)" in sentence and "(loss 2.10 on the same pictures)" in sentence


def test_shards_that_can_be_read_are_not_blamed(records_folder):
    shards = [records_folder + "/%s-00000-of-00001.tfrecord" % split for split in ("train", "validation")]
    assert diagnosis.damaged_shard(shards) is None


def test_the_libraries_say_each_thing_once(caplog):
    logger = logging.getLogger("tensorflow")
    for message in ("once %s", "once %s", "twice %s"):
        logger.warning(message, "upon a time")
    assert [record.getMessage() for record in caplog.records] == ["once upon a time", "twice upon a time"]
