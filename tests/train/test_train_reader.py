"""Batches whose order and augmentation only the seed decides."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from object_detection import inputs
from train_helpers import parameters

from stages.train import pipeline_config, reader
from stages.train.records import RecordSet

CROPPED = ["random_horizontal_flip", "ssd_random_crop", "random_adjust_brightness"]


def batches(records_folder, seed, count, **changes):
    """The first batches of a training: source hashes, pictures and boxes."""
    records = RecordSet(records_folder)
    pipeline = pipeline_config.located(pipeline_config.generate(parameters(**changes), records), records)
    reader.install()
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        dataset = inputs.train_input(pipeline.train_config, pipeline.train_input_reader, pipeline.model)
        iterator = dataset.make_initializable_iterator()
        features, labels = iterator.get_next()
        fetches = (features["hash"], features["image"], labels["groundtruth_boxes"])
        with tf.Session() as session:
            session.run([iterator.initializer, tf.tables_initializer()])
            return [session.run(fetches) for _ in range(count)]


def test_the_same_seed_gives_the_same_bits_augmentation_included(records_folder):
    once, again = (batches(records_folder, 3, 5, augmentation=CROPPED) for _ in range(2))
    for one, other in zip(once, again):
        for left, right in zip(one, other):
            np.testing.assert_array_equal(left, right)


def test_augmentation_changes_pictures_and_boxes_from_epoch_to_epoch(records_folder):
    made = batches(records_folder, 3, 9, augmentation=CROPPED)
    assert len({picture.tobytes() for batch in made for picture in batch[1]}) > 12  # more than the dataset has
    assert len({boxes.tobytes() for batch in made for boxes in batch[2]}) > 12


def test_another_seed_gives_another_order(records_folder):
    one, other = (np.concatenate([batch[0] for batch in batches(records_folder, seed, 3)]) for seed in (1, 2))
    assert sorted(one) == sorted(other)
    assert list(one) != list(other)


def test_each_epoch_holds_every_picture_once_in_a_new_order(records_folder):
    hashes = np.concatenate([batch[0] for batch in batches(records_folder, 1, 6, augmentation=[])]).tolist()
    first, second = hashes[:12], hashes[12:]
    assert Counter(first) == Counter(second) and set(Counter(first).values()) == {1}
    assert first != second


def test_evaluation_reads_every_picture_once_in_the_order_of_the_records(records_folder):
    records = RecordSet(records_folder)
    pipeline = pipeline_config.located(pipeline_config.generate(parameters(), records), records)
    pipeline.eval_input_reader[0].num_epochs = 1
    with tf.Graph().as_default():
        iterator = reader.build(pipeline.eval_input_reader[0]).make_initializable_iterator()
        tensors = iterator.get_next()
        names = []
        with tf.Session() as session:
            session.run([iterator.initializer, tf.tables_initializer()])
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    names.append(session.run(tensors["source_id"]).decode())
    assert names == [line["source_id"] for line in records.index["validation"]]
