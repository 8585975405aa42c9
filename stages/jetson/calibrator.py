"""INT8 calibration: pictures of the training records, in the network's own form, one after the other.

An entropy calibrator of the second kind, as NVIDIA advises for convolutional networks; TensorRT 5.0 has only the first.
A picture is read when TensorRT asks for it, so that no more than one is in memory.
"""

import hashlib
import os
from typing import Any, List, Optional

import numpy as np

from stages import disk, files, pixels
from stages.detect.description import Description
from stages.detect.preprocess import Preprocess
from stages.job import BadInput


def pictures(folder: str) -> List[str]:
    """The paths of the pictures to calibrate with.

    Raises:
        BadInput: there are none.
    """
    found = [os.path.join(folder, name) for name in files.names_below(folder, files.PICTURE_SUFFIXES)]
    if not found:
        raise BadInput("%s holds no picture to calibrate INT8 with; make the bundle with some" % folder)
    return found


def cache_name(model_sha256: str, paths: List[str]) -> str:
    """A name for the file with TensorRT's scales, which hold for this model and these pictures only."""
    digest = hashlib.sha256(model_sha256.encode("ascii"))
    for path in paths:
        digest.update(files.read(path))
    return "calibration-%s.cache" % digest.hexdigest()[:16]


def of_pictures(trt: Any, cuda: Any, paths: List[str], described: Description, cache: str) -> Any:
    """A calibrator that shows TensorRT the pictures at ``paths``.

    Args:
        cache: where TensorRT's scales are kept, so that a build that was interrupted need not calibrate again.

    Raises:
        BadInput: a picture cannot be read.
    """
    for path in paths:
        loaded(path)  # now: an error inside of TensorRT's call would end the process
    kind = getattr(trt, "IInt8EntropyCalibrator2", None) or trt.IInt8EntropyCalibrator
    preprocess = Preprocess(described.height, described.width, described.scale, described.offset, described.swapped)
    tensor = np.empty(described.shape, np.float32)

    class Calibrator(kind):  # type: ignore[misc,valid-type]
        """What TensorRT asks for batches of one."""

        def __init__(self) -> None:
            kind.__init__(self)
            self._next = 0
            self._device = cuda.mem_alloc(tensor.nbytes)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, _names: List[str], *_: Any) -> Optional[List[int]]:
            if self._next == len(paths):
                return None
            preprocess.fill(loaded(paths[self._next]), tensor)
            cuda.memcpy_htod(self._device, tensor)
            self._next += 1
            print("calibrated with %d of %d pictures" % (self._next, len(paths)), flush=True)
            return [int(self._device)]

        def read_calibration_cache(self, *_: Any) -> Optional[bytes]:
            if not os.path.isfile(cache):
                return None
            with open(cache, "rb") as stream:
                return stream.read() or None

        def write_calibration_cache(self, scales: Any, *_: Any) -> None:
            disk.replace(cache, bytes(scales))

    return Calibrator()


def loaded(path: str) -> np.ndarray:
    """The picture, uint8 RGB [height, width, 3].

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return pixels.decode(pixels.read(path))
    except ValueError as error:
        raise BadInput("%s: %s; make the bundle again" % (path, error)) from error
