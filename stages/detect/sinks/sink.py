"""What every sink of frames is, and what it gets."""

import threading
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional

import numpy as np

from stages import drawing
from stages.detect.sources.source import LiveFrame


class Finding:
    """A frame and what was found on it; drawn once, by whichever sink asks first."""

    def __init__(self, frame: LiveFrame, detections: List[Dict[str, Any]]) -> None:
        self.frame, self.detections = frame, detections
        self._lock = threading.Lock()
        self._drawn: Optional[np.ndarray] = None

    def drawn(self) -> np.ndarray:
        """The picture with its boxes, uint8 BGR, which nobody changes."""
        with self._lock:
            if self._drawn is None:
                self._drawn = drawing.draw(self.frame.picture, self.detections, bgr=True)
            return self._drawn


class SinkClosed(Exception):
    """Whoever looked at the sink is gone, and meant to."""


class FrameSink(ABC):
    """Takes findings, in order; all calls but the constructor's come from one thread of its own.

    Attributes:
        title: its name for the user.
    """

    title: str

    @abstractmethod
    def write(self, finding: Finding) -> None:
        """Take the next finding.

        Raises:
            SinkClosed: nobody looks any more.
            StageFailed: it cannot be written.
        """

    def idle(self) -> None:  # noqa: B027 (a sink may have nothing to do then)
        """Called now and then while nothing comes; raises as :meth:`write` does."""

    def close(self) -> None:  # noqa: B027 (likewise)
        """Finish; called once, also after an error.

        Raises:
            StageFailed: what was written is not whole.
        """
