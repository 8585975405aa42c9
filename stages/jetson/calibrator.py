"""INT8 calibration: pictures of the training records, in the network's own form, one after the other.

An entropy calibrator of the second kind, as NVIDIA advises for convolutional networks; TensorRT 5.0 has only the first.
"""

import os
from typing import Any, List, Optional

import numpy as np

from stages.job import StageFailed


def of_pictures(trt: Any, cuda: Any, path: str, cache: str) -> Any:
    """A calibrator for the tensors in the .npy file ``path``, float32 [n, 3, height, width].

    Args:
        cache: where TensorRT's scales are kept, so that a build that was interrupted need not calibrate again.

    Raises:
        StageFailed: there are no pictures.
    """
    tensors = np.load(path, mmap_mode="r", allow_pickle=False)
    if not len(tensors):
        raise StageFailed("There are no pictures to calibrate INT8 with")
    kind = getattr(trt, "IInt8EntropyCalibrator2", None) or trt.IInt8EntropyCalibrator

    class Calibrator(kind):  # type: ignore[misc,valid-type]
        """What TensorRT asks for batches of one."""

        def __init__(self) -> None:
            kind.__init__(self)
            self._next = 0
            self._device = cuda.mem_alloc(tensors[0].nbytes)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, _names: List[str], *_: Any) -> Optional[List[int]]:
            if self._next == len(tensors):
                return None
            cuda.memcpy_htod(self._device, np.ascontiguousarray(tensors[self._next], np.float32))
            self._next += 1
            print("calibrated with %d of %d pictures" % (self._next, len(tensors)), flush=True)
            return [int(self._device)]

        def read_calibration_cache(self, *_: Any) -> Optional[bytes]:
            if not os.path.isfile(cache):
                return None
            with open(cache, "rb") as stream:
                return stream.read() or None

        def write_calibration_cache(self, scales: Any, *_: Any) -> None:
            with open(cache + ".part", "wb") as stream:
                stream.write(bytes(scales))
            os.replace(cache + ".part", cache)

    return Calibrator()
