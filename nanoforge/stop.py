"""A request to end that goes to whatever runs: a stage, a container, a build of an image."""

from __future__ import annotations

import threading
from typing import Callable, Optional


class Stop:
    """A request to end, which may come from another thread at any time, also before there is anything to end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._how: Optional[Callable[[], None]] = None
        self.asked = False

    def ask(self) -> None:
        with self._lock:
            self.asked = True
            how = self._how
        if how:
            how()

    def by(self, how: Callable[[], None]) -> None:
        """From now on, ``how`` ends it; done at once where it was asked for already."""
        with self._lock:
            self._how = how
            asked = self.asked
        if asked:
            how()
