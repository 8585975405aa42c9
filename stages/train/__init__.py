"""Train, evaluate, preview and export an SSD detector: Python 3.6, TensorFlow 1.12, object_detection.

Importing this package keeps the libraries' noise down; a warning is said once.
"""

import logging
import os
import warnings
from typing import Set

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")


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
