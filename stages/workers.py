"""The same work on many tasks, in several processes, in order, with a bounded number of results in memory.

Needs OpenCV, Python 3.8 to current.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Callable, Deque, Iterable, Iterator, Optional, TypeVar

import cv2

from stages.job import StageFailed

Task = TypeVar("Task")
Result = TypeVar("Result")
AHEAD = 4  # results that may wait for each process
KEPT_BYTES = 32 << 20  # of freed memory that a process keeps for its next picture, at most: the most that glibc takes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGE_MEGAPIXELS = 25  # pictures larger than this are decoded one at a time

_turn: Any = threading.Lock()  # in a worker process, the lock that all of them share


class Pool:
    """Processes that work on tasks; one process is this one. They start with the first task, and end with the pool.

    A task and its result are what pickle takes, and a task reads what it needs: it writes nothing.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._executor: Optional[ProcessPoolExecutor] = None

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True)

    def in_order(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """``function(task)`` for every task, in the order of the tasks whatever the number of processes.

        Raises:
            StageFailed: a process was killed from outside. What ``function`` raises comes through at its task's turn.
        """
        _prepare()
        if self.processes == 1:
            yield from map(function, tasks)
            return
        try:
            yield from self._windowed(self._started(), function, tasks)
        except BrokenProcessPool:
            raise StageFailed(
                "A worker process was killed, most likely for lack of memory: give the stage fewer "
                "processors or more memory."
            ) from None

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            # Spawned, not forked: the stage has a thread that watches its runner, and a fork among threads can
            # deadlock.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self.processes, context, _begin, (context.Lock(),))
        return self._executor

    def _windowed(
        self, executor: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Like ``executor.map``, which would hold all results of a dataset in memory when the reader is slow."""
        waiting: Deque["Future[Result]"] = deque()
        try:
            for task in tasks:
                waiting.append(executor.submit(function, task))
                if len(waiting) >= AHEAD * self.processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_order(function: Callable[[Task], Result], tasks: Iterable[Task], processes: int) -> Iterator[Result]:
    """:meth:`Pool.in_order` with processes for these tasks alone."""
    with Pool(processes) as pool:
        yield from pool.in_order(function, tasks)


def _begin(turn: Any) -> None:
    """In each process, before its first task."""
    global _turn
    _turn = turn
    _prepare()
    threading.Thread(target=_end_with_stage, daemon=True).start()


def _prepare() -> None:
    """For work on pictures, in each process that does it."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    # Else glibc gives the memory of each picture back to the system, and gets it anew, page by page, for the next one.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option:
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(M_MMAP_THRESHOLD, KEPT_BYTES)


def _end_with_stage() -> None:
    """A stage that is killed says no word to its processes, which would wait for tasks for ever."""
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
