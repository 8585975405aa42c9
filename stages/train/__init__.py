"""Train, evaluate, preview and export an SSD detector: Python 3.6, TensorFlow 1.12, object_detection.

Importing this package keeps the libraries' noise down; a warning is said once. And it makes them quick to import: they
ask TensorFlow which frame called, and it reads the source of every frame to say so, which takes more than half of the
processor time of importing object_detection.
"""

import logging
import os
import sys
import warnings
from typing import Any, Set

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")

# Behind these: importing TensorFlow is when they count.
from tensorflow.python.util import tf_inspect  # noqa: E402


def _calling_frame() -> Any:
    """``tf_inspect.currentframe()``, which is ``inspect.stack()[1][0]``."""
    return sys._getframe(1)


tf_inspect.currentframe = _calling_frame


class _EachMessageOnce(logging.Filter):
    """Lets every message through the first time only."""

    def __init__(self) -> None:
        super().__init__()
        self._said: Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self._said
        self._said.add(message)
        return new


for _name in ("", "tensorflow"):
    logging.getLogger(_name).addFilter(_EachMessageOnce())
