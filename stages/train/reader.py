"""Records to batches, in an order that only the seed decides.

object_detection's own builder decodes and augments a batch's pictures in parallel, and reads shards "sloppily": random
operations then meet the pictures in another order in every run. Here one thread does it, ahead of the training step.
Besides, a dataset's map function has a graph of its own that does not know the training graph's seed, and
TensorFlow 1.12's operation behind random crops ignores a graph's seed: both are given one here.
"""

import contextlib
import functools
import itertools
from typing import Any, Callable, Iterator, Optional

import tensorflow as tf
from object_detection import inputs
from object_detection.data_decoders import tf_example_decoder
from object_detection.protos import input_reader_pb2


def install() -> None:
    """Let object_detection's input functions read through this module."""
    inputs.INPUT_BUILDER_UTIL_MAP["dataset_build"] = build


def build(
    config: input_reader_pb2.InputReader,
    batch_size: Optional[int] = None,
    transform_input_data_fn: Optional[Callable[[Any], Any]] = None,
) -> tf.data.Dataset:
    """The dataset of ``config``: every picture once per epoch, shuffled anew in each if it says so, in whole batches.

    Same signature and elements as ``object_detection.builders.dataset_builder.build``.
    """
    decoder = tf_example_decoder.TfExampleDecoder(label_map_proto_file=config.label_map_path)
    seed = tf.get_default_graph().seed

    def decode(record: tf.Tensor) -> Any:
        tf.set_random_seed(seed)
        tensors = decoder.decode(record)
        with _seeded_crops():
            return transform_input_data_fn(tensors) if transform_input_data_fn else tensors

    paths = list(config.tf_record_input_reader.input_path)
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    if config.shuffle:
        dataset = dataset.shuffle(len(paths))
    dataset = dataset.flat_map(tf.data.TFRecordDataset)
    if config.shuffle:
        dataset = dataset.shuffle(config.shuffle_buffer_size)
    dataset = dataset.repeat(config.num_epochs or None)
    if config.sample_1_of_n_examples > 1:
        dataset = dataset.shard(config.sample_1_of_n_examples, 0)
    dataset = dataset.map(decode)
    if batch_size:
        dataset = dataset.batch(batch_size, drop_remainder=True)
    return dataset.prefetch(2)


@contextlib.contextmanager
def _seeded_crops() -> Iterator[None]:
    """Give every crop operation made inside a seed of its own beside the graph's."""
    unseeded = tf.image.sample_distorted_bounding_box
    seeds = itertools.count(1)

    @functools.wraps(unseeded)
    def seeded(*arguments: Any, **options: Any) -> Any:
        return unseeded(*arguments, **dict(options, seed=next(seeds)))

    tf.image.sample_distorted_bounding_box = seeded
    try:
        yield
    finally:
        tf.image.sample_distorted_bounding_box = unseeded
