"""Data types and dimensions."""

import enum

import numpy as np


class DataType(enum.IntEnum):
    FLOAT, HALF, INT8, INT32, BOOL = range(5)

    @property
    def itemsize(self):
        return np.dtype(nptype(self)).itemsize


float32, float16, int8, int32 = DataType.FLOAT, DataType.HALF, DataType.INT8, DataType.INT32
_NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT8: np.int8, DataType.INT32: np.int32}


def nptype(trt_type):
    return _NUMPY[trt_type]


class Dims(tuple):
    """A shape."""

    def __new__(cls, *shape):
        return super().__new__(cls, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)


class Dims3(Dims):
    """Three dimensions."""


def volume(iterable):
    total = 1
    for size in iterable:
        total *= size
    return total
