"""Values out of a graph: a TensorFlow session that turns TensorFlow's failures into sentences."""

from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf

from stages.job import BadInput

TIME_LIMIT_MS = 120000  # a damaged loop in the preprocessor or postprocessor must not hang the stage


class GraphSession:
    """Runs parts of a graph that TensorFlow 1.12 can load.

    Raises:
        BadInput: TensorFlow refuses the graph.
    """

    def __init__(self, definition: Any) -> None:
        tf.logging.set_verbosity(tf.logging.ERROR)
        graph = tf.Graph()
        try:
            with graph.as_default():
                tf.import_graph_def(definition, name="")
        except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
            raise BadInput("TensorFlow %s cannot load the graph: %s" % (tf.__version__, first_line(error))) from error
        self._session = tf.Session(graph=graph, config=one_thread())

    def run(self, tensors: List[str], feeds: Optional[Dict[str, np.ndarray]] = None) -> List[np.ndarray]:
        """The values of ``tensors`` (``name`` or ``name:index``) when ``feeds`` replaces other tensors' values.

        Raises:
            BadInput: the graph fails while it runs.
        """
        try:
            values: List[np.ndarray] = self._session.run(
                [_full(name) for name in tensors], {_full(name): value for name, value in (feeds or {}).items()}
            )
            return values
        except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
            raise BadInput(
                "The graph does not run in TensorFlow %s: %s" % (tf.__version__, first_line(error))
            ) from error

    def close(self) -> None:
        """Free what the session holds."""
        self._session.close()


def one_thread() -> tf.ConfigProto:
    """One thread, on the CPU: the figures must not depend on how many processors there are."""
    config = tf.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        device_count={"GPU": 0},
        operation_timeout_in_ms=TIME_LIMIT_MS,
    )
    # Rewrites reorder float arithmetic; what is compared here is the graph as it was exported.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else tensor + ":0"


def first_line(error: Exception) -> str:
    """The first line of a TensorFlow error, which is the one that says what is wrong."""
    return (getattr(error, "message", "") or str(error)).strip().split("\n")[0][:300]
