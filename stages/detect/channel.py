"""A short queue between two threads that either waits for room or leaves out the oldest."""

import collections
import threading
from typing import Callable, Deque, Generic, Iterator, Optional, TypeVar

Item = TypeVar("Item")
POLL_S = 0.1  # how soon whoever waits sees that an end was asked for


class Closed(Exception):
    """There is nothing left, and nothing will come."""


class Channel(Generic[Item]):
    """Holds up to ``size`` items, first in, first out.

    An end is asked for by a signal, whose handler may not touch a lock that its own thread holds; so whoever waits
    looks for it, ten times a second.

    Args:
        drops: where there is no room, the oldest item is left out; else :meth:`put` waits.
        stopping: whether an end was asked for; then nobody waits any longer.

    Attributes:
        dropped: how many items were left out.
    """

    def __init__(self, size: int, drops: bool, stopping: Callable[[], bool]) -> None:
        self._size, self._drops, self._stopping = size, drops, stopping
        self._items: Deque[Item] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: Optional[BaseException] = None
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """Add an item; False where the channel is closed. What comes once an end was asked for is taken at once."""
        with self._changed:
            while not self._drops and len(self._items) >= self._size and not self._over():
                self._changed.wait(POLL_S)
            if self._closed:
                return False
            if self._drops and len(self._items) >= self._size:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, wait_s: float = POLL_S) -> Optional[Item]:
        """The oldest item, None where none came in that time.

        Raises:
            Closed: there are no more.
            BaseException: what the channel was closed with, once it is empty.
        """
        with self._changed:
            if not self._items and not self._closed and wait_s:
                self._changed.wait(wait_s)
            if self._items:
                self._changed.notify_all()
                return self._items.popleft()
            if self._closed:
                raise self._error or Closed()
            return None

    def close(self, error: Optional[BaseException] = None) -> None:
        """Take nothing more; what is held can still be had."""
        with self._changed:
            self._closed, self._error = True, self._error or error
            self._changed.notify_all()

    def _over(self) -> bool:
        return self._closed or self._stopping()

    def __iter__(self) -> Iterator[Item]:
        """All items until the channel is closed and empty, unless with an error."""
        while True:
            try:
                item = self.get()
            except Closed:
                return
            if item is not None:
                yield item
