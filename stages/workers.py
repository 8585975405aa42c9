"""The same work on many items, in several processes, in order, with a bounded number of results in memory.

Needs OpenCV, Python 3.8 to current.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Callable, Deque, Iterable, Iterator, TypeVar

import cv2

from stages.job import StageFailed

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # results that may wait for each process
LARGE_MEGAPIXELS = 25  # pictures larger than this are decoded one at a time

_turn: Any = threading.Lock()  # in a worker process, the lock that all of them share


def in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """``function(item)`` for every item, in the order of the items whatever the number of processes.

    Raises:
        StageFailed: a process was killed from outside. What ``function`` raises comes through at its item's turn.
    """
    cv2.setNumThreads(1)  # the processes are the parallelism
    if processes == 1:
        yield from map(function, items)
        return
    # Spawned, not forked: the stage has a thread that watches its runner, and a fork among threads can deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (context.Lock(),))
    try:
        yield from _windowed(pool, function, items, AHEAD * processes)
    except BrokenProcessPool:
        raise StageFailed(
            "A worker process was killed, most likely for lack of memory: give the stage fewer "
            "processors or more memory."
        ) from None
    finally:
        pool.shutdown(wait=True)


def _begin(turn: Any) -> None:
    """In each process, before its first item."""
    global _turn
    _turn = turn
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_stage, daemon=True).start()


def _end_with_stage() -> None:
    """A stage that is killed says no word to its processes, which would wait for items for ever."""
    stage = multiprocessing.parent_process()
    if stage is not None:
        stage.join()  # on a pipe, whose other end only the stage holds
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def room_for(megapixels: float) -> Iterator[None]:
    """Around the work on a picture: one large one at a time, so that their memory is needed once, not per process."""
    if megapixels <= LARGE_MEGAPIXELS:
        yield
        return
    with _turn:
        yield


def _windowed(
    pool: ProcessPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], window: int
) -> Iterator[Result]:
    """Like ``pool.map``, which would hold all results of a dataset in memory when the reader is slow."""
    waiting: Deque["Future[Result]"] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
