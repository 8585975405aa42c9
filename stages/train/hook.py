"""What happens between a training's steps: progress, events, checkpoints, evaluations, and the end if it diverges."""

import itertools
import os
import time
from typing import Any, Callable, Sequence

import numpy as np
import tensorflow as tf

from stages.job import StageFailed
from stages.train import checkpoints
from stages.train.model import LEARNING_RATE, PICTURES, TOTAL_LOSS
from stages.train.training_state import TrainingState

SUMMARY_EVERY = 20
SAVE_SECONDS = 60.0  # so that a kill costs a minute
PROGRESS_SECONDS = 1.0


class Diverged(Exception):
    """The loss became infinite or no number.

    Attributes:
        step: the step in which it did.
        loss: what it became.
        learning_rate: of that step.
        pictures: int [batch], object_detection's hashes of the source ids.
    """

    def __init__(self, step: int, loss: float, learning_rate: float, pictures: np.ndarray) -> None:
        super().__init__("loss %s in step %d" % (loss, step))
        self.step, self.loss, self.learning_rate, self.pictures = step, loss, learning_rate, pictures


class TrainingHook(tf.train.SessionRunHook):  # type: ignore[misc]  # TensorFlow 1.12 declares no types
    """Counts the steps of an estimator's training and does what is due after each.

    The estimator's own saver goes by a timer that starts anew in each run; this one saves at every ``evaluate_every``th
    step, evaluates there without leaving the session.
    """

    def __init__(
        self,
        state: TrainingState,
        evaluate_every: int,
        evaluate: Callable[[int], None],
        tell: Callable[[int, float], None],
        private: Sequence[str] = (),
    ) -> None:
        """``evaluate(step)`` takes a saved checkpoint; ``tell(step, learning_rate)`` reports progress now and then.

        Paths below the folders ``private`` are written down as bare file names.
        """
        self._state, self._every, self._evaluate, self._tell = state, evaluate_every, evaluate, tell
        self._private = private
        self._step = 0
        self._saved = self._told = time.monotonic()

    def begin(self) -> None:
        graph = tf.get_default_graph()
        self._saver = tf.train.Saver(max_to_keep=None, save_relative_paths=True)
        self._global_step = tf.train.get_global_step()
        self._summaries = tf.summary.merge_all()
        self._values = {
            "loss": graph.get_tensor_by_name(TOTAL_LOSS),
            "learning_rate": graph.get_tensor_by_name(LEARNING_RATE),
            "pictures": graph.get_collection(PICTURES)[0],
        }

    def after_create_session(self, session: tf.Session, coord: Any) -> None:
        self._step = int(session.run(self._global_step))
        meta = _meta_graph(self._saver, self._private)
        self._meta = meta.SerializeToString(deterministic=True)
        self._events = tf.summary.FileWriter(os.path.join(self._state.folder, "events", "train"))
        self._events.add_event(tf.Event(graph_def=meta.graph_def.SerializeToString(deterministic=True)))

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:
        due = (self._step + 1) % SUMMARY_EVERY == 0
        return tf.train.SessionRunArgs(dict(self._values, summaries=self._summaries) if due else self._values)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._step += 1
        values = run_values.results
        loss, learning_rate = float(values["loss"]), float(values["learning_rate"])
        if not np.isfinite(loss):
            raise Diverged(self._step, loss, learning_rate, values["pictures"])
        if "summaries" in values:
            self._events.add_summary(values["summaries"], self._step)
        self._state.add_step(self._step, loss, learning_rate)
        self._save_and_evaluate(run_context.session)
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._tell(self._step, learning_rate)

    def end(self, session: tf.Session) -> None:
        self._events.close()

    def _save_and_evaluate(self, session: tf.Session) -> None:
        last = self._step == self._state.steps
        evaluation = last or self._step % self._every == 0
        if evaluation or time.monotonic() - self._saved > SAVE_SECONDS:
            self._save(session)
        if evaluation:
            self._events.flush()
            self._evaluate(self._step)

    def _save(self, session: tf.Session) -> None:
        prefix = os.path.join(self._state.folder, checkpoints.prefix(self._step))
        with self._state.saving(self._step):
            with open(prefix + ".meta", "wb") as stream:
                stream.write(self._meta)
            try:
                self._saver.save(session, prefix, write_meta_graph=False)
            except tf.errors.OpError as error:
                raise StageFailed(
                    "The checkpoint %s cannot be written (%s): free some space there and run train again; it goes on "
                    "from the checkpoint before." % (prefix, error.message.split("\n")[0])
                ) from error
        self._saved = time.monotonic()


def _meta_graph(saver: tf.train.Saver, private: Sequence[str]) -> tf.MetaGraphDef:
    """The .meta file of every checkpoint of this run, the same bytes in every process and wherever the project is."""
    meta = saver.export_meta_graph()
    for context in ("cond_context", "while_context"):  # only for taking gradients anew; bytes without a fixed order
        meta.collection_def.pop(context, None)
    folders = tuple(os.path.join(folder, "").encode() for folder in private)
    functions = (function.node_def for function in meta.graph_def.library.function)
    for node in itertools.chain(meta.graph_def.node, *functions):
        strings = node.attr["value"].tensor.string_val if node.op == "Const" else []
        for index, text in enumerate(strings):
            if text.startswith(b"_temp_"):  # a sharded saver's own folder, with a random name
                strings[index] = b"_temp/part"
            elif text.startswith(folders):
                strings[index] = os.path.basename(text)
    return meta
