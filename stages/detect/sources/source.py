"""What every source of frames is."""

from abc import ABC, abstractmethod
from typing import Callable, Iterator, NamedTuple, Optional

import numpy as np

Stopping = Callable[[], bool]
"""Whether an end was asked for; asked by whatever waits."""
Tell = Callable[[str], None]
"""Takes a sentence for the user."""


class LiveFrame(NamedTuple):
    """A picture on its way to the screen.

    Attributes:
        picture: uint8 BGR [height, width, 3], which nobody changes.
        number: from 0; numbers that are missing were not looked at.
        time: seconds since the first frame; of a file, in its own time.
        taken_at: when it was had, as time.monotonic() has it.
        name: of a picture in a folder.
    """

    picture: np.ndarray
    number: int
    time: float
    taken_at: float
    name: Optional[str] = None


class FrameSource(ABC):
    """Gives frames.

    Attributes:
        live: its frames come whether or not someone takes them, so the oldest are left out where that takes too long.
        fps: frames per second, as far as it is known; of a folder, what a video made of it would have.
        total: how many frames there are, 0 where nobody knows.
        title: its name for the user, without passwords.
    """

    live: bool
    fps: float
    total: int
    title: str

    @abstractmethod
    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        """The frames in order, until their end, or an end is asked for.

        Raises:
            BadInput: not one frame can be had.
        """
