"""The device's memory and streams: allocations by address, and a thread for each stream that works in order."""

import atexit
import os
import queue
import sys
import threading
import time
import weakref

import numpy as np

PAGE = 1 << 20
_allocations = {}
_streams = {}
_lock = threading.Lock()
_next = [PAGE]
contexts = []
engines = weakref.WeakSet()  # and their execution contexts, which a CUDA context must not leave behind


@atexit.register
def _end():
    """PyCUDA ends a process so whose CUDA contexts were not all popped."""
    if contexts:
        print("PyCUDA ERROR: The context stack was not empty upon module cleanup.", file=sys.stderr, flush=True)
        os.abort()


def allocate(count):
    with _lock:
        address = _next[0]
        _next[0] += (count // PAGE + 2) * PAGE
        _allocations[address] = np.zeros(count, np.uint8)
    return address


def free(address):
    del _allocations[address]


def array(address, kind, shape):
    """The memory at an address as an array."""
    count = int(np.prod(shape)) * np.dtype(kind).itemsize
    return _allocations[int(address)][:count].view(kind).reshape(shape)


def write(address, values):
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    _allocations[int(address)][: data.size] = data


def read(address, out):
    flat = out.reshape(-1).view(np.uint8)
    flat[:] = _allocations[int(address)][: flat.size]


def busy(seconds):
    time.sleep(seconds)


class Worker:
    """What a stream does, one after the other."""

    def __init__(self):
        self._waiting = queue.Queue()
        self._failed = []
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while True:
            task = self._waiting.get()
            try:
                task()
            except Exception as error:
                self._failed.append(error)
            task = None  # it holds an execution context
            self._waiting.task_done()

    def add(self, task):
        self._waiting.put(task)

    def finish(self):
        self._waiting.join()
        self.check()

    def check(self):
        if self._failed:
            raise self._failed.pop()

    def idle(self):
        return self._waiting.unfinished_tasks == 0


def new_stream():
    with _lock:
        handle = len(_streams) + 1
        _streams[handle] = Worker()
    return handle


def stream(handle):
    return _streams[int(handle)]


def on_stream(handle, task):
    task() if not handle else stream(handle).add(task)
