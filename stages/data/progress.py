"""How fast the work goes."""

import time
from collections import deque
from typing import Callable, Deque, NamedTuple

SPAN_S = 20.0  # what the rate is taken of
EVERY_S = 0.5


class _Mark(NamedTuple):
    at: float
    done: int


class ImageRate:
    """Pictures a second in the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: Deque[_Mark] = deque([_Mark(clock(), 0)])

    def is_due(self, done: int) -> bool:
        """Whether it is time to say how many are done."""
        now = self._clock()
        if now - self._marks[-1].at < EVERY_S:
            return False
        self._marks.append(_Mark(now, done))
        while len(self._marks) > 2 and now - self._marks[1].at > SPAN_S:
            self._marks.popleft()
        return True

    def words(self, done: int) -> str:
        """``25 images/s``."""
        first = self._marks[0]
        passed = self._clock() - first.at
        rate = (done - first.done) / passed if passed > 0 else 0.0
        return "%.*f images/s" % (0 if rate >= 10 else 1, rate)
