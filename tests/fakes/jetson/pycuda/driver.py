"""pycuda.driver: device memory, page-locked memory, copies and streams."""

import os
import threading

import numpy as np

from . import _device

VERSION = tuple(int(part) for part in os.environ.get("NANOFORGE_FAKE_CUDA", "10.2.0").split("."))


class Error(Exception):
    pass


class MemoryError(Error):
    pass


class LogicError(Error):
    pass


def init(flags=0):
    if os.environ.get("NANOFORGE_FAKE_CUDA") == "0.0.0":
        raise LogicError("cuInit failed: unknown error")


def get_version():
    return VERSION


def get_driver_version():
    return VERSION[0] * 1000 + VERSION[1] * 10


class Device:
    def __init__(self, number):
        self._number = number

    @staticmethod
    def count():
        return 1

    def name(self):
        return os.environ.get("NANOFORGE_FAKE_DEVICE", "NVIDIA Tegra X1")

    def compute_capability(self):
        return 5, 3

    def total_memory(self):
        return 4156 << 20

    def make_context(self, flags=0):
        return Context()

    def retain_primary_context(self):
        return Context()


class Context:
    def __init__(self):
        self.push()

    def push(self):
        _device.contexts.append(self)

    @staticmethod
    def pop():
        if not _device.contexts:
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        _device.contexts.pop()

    def detach(self):
        if len(_device.engines):
            raise LogicError("the context is gone before %s, which would crash" % list(_device.engines))

    @staticmethod
    def synchronize():
        pass


def mem_get_info():
    free = int(os.environ.get("NANOFORGE_FAKE_FREE_MB", "1500")) << 20
    return free, 4156 << 20


class DeviceAllocation:
    def __init__(self, count):
        self._address = _device.allocate(count)

    def __int__(self):
        return self._address

    def free(self):
        _device.free(self._address)


def mem_alloc(count):
    if count > int(os.environ.get("NANOFORGE_FAKE_FREE_MB", "1500")) << 20:
        raise MemoryError("cuMemAlloc failed: out of memory")
    return DeviceAllocation(int(count))


def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
    return np.empty(shape, dtype, order)


class Stream:
    def __init__(self, flags=0):
        self.handle = _device.new_stream()

    def synchronize(self):
        _device.stream(self.handle).finish()

    def is_done(self):
        return _device.stream(self.handle).idle()


class Event:
    """A place in a stream: it is reached when all that was queued before it is done."""

    def __init__(self, flags=0):
        self._reached, self._stream = None, None

    def record(self, stream=None):
        self._reached, self._stream = threading.Event(), stream
        _device.on_stream(stream.handle if stream else 0, self._reached.set)
        return self

    def synchronize(self):
        if self._reached:
            self._reached.wait()
        if self._stream:
            _device.stream(self._stream.handle).check()


def memcpy_htod(dest, src):
    _device.write(int(dest), src)


def memcpy_dtoh(dest, src):
    _device.read(int(src), dest)


def memcpy_htod_async(dest, src, stream=None):
    _device.on_stream(stream.handle if stream else 0, lambda: _device.write(int(dest), src))


def memcpy_dtoh_async(dest, src, stream=None):
    _device.on_stream(stream.handle if stream else 0, lambda: _device.read(int(src), dest))
