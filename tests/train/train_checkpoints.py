"""Checkpoints of a model of two variables: real ones, made in milliseconds."""

import os

import numpy as np
import tensorflow as tf

from stages.train import checkpoints


class SmallModel:
    """Saves what :mod:`stages.train` saves of a training, through the same TensorFlow."""

    def __init__(self):
        self._graph = tf.Graph()
        with self._graph.as_default():
            step = tf.train.create_global_step()
            self._number = tf.placeholder(tf.int64, [])
            self._set = tf.assign(step, self._number)
            weights = tf.get_variable("weights", initializer=np.arange(64, dtype=np.float32))
            self._saver = tf.train.Saver([step, weights], max_to_keep=None, save_relative_paths=True)
            self._session = tf.Session()
            self._session.run(tf.global_variables_initializer())
            self._meta = self._saver.export_meta_graph().SerializeToString()

    def save(self, folder, step):
        """A checkpoint of ``step`` in the training folder ``folder``."""
        prefix = os.path.join(folder, checkpoints.prefix(step))
        os.makedirs(os.path.dirname(prefix), exist_ok=True)
        with open(prefix + ".meta", "wb") as stream:
            stream.write(self._meta)
        self._session.run(self._set, {self._number: step})
        self._saver.save(self._session, prefix, write_meta_graph=False)
