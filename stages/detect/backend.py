"""What a detector needs of that which computes its network; ``backends/`` has a class for each."""

from abc import ABC, abstractmethod
from typing import List

import numpy as np


class Backend(ABC):
    """Computes a network. Slots are places for one picture each: while one computes, the next can be filled.

    Attributes:
        slots: input tensors, float32 [3, height, width], to be filled before :meth:`start`; one where it computes
            on the processor that would fill the next.
    """

    slots: List[np.ndarray]

    @abstractmethod
    def start(self, slot: int) -> None:
        """Begin to compute what is in a slot; it may return before that is done, and the slot must stay as it is."""

    @abstractmethod
    def finish(self, slot: int) -> np.ndarray:
        """Wait for a slot that was started.

        Returns:
            The rows of NMS_TRT, float32 [n, 7], best first: image, class, score, xmin, ymin, xmax, ymax (0 to 1). They
            hold until the slot is started again.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what was taken of the device."""
