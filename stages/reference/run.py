"""Run any .uff on arrays: every output by its name into an .npz."""

import os
import zipfile
from typing import Dict, List

import numpy as np

from stages import files
from stages.job import BadInput, Job, run
from stages.parameters import RunUffParameters
from stages.reference import arithmetic
from stages.reference.arithmetic import Arithmetic
from stages.reference.interpreter import UffInterpreter


def main(job: Job) -> None:
    """Write ``outputs.npz`` and ``outputs.txt`` of the input ``uff``, run on the inputs ``input_0``, ``input_1`` ….

    Raises:
        BadInput: the .uff cannot be run, or an array is not what it takes.
    """
    parameters = job.read(RunUffParameters)
    version = arithmetic.version(parameters.tensorrt) if parameters.tensorrt else arithmetic.NEWEST
    interpreter = UffInterpreter(job.inputs["uff"], Arithmetic(version, half=parameters.fp16_decode))
    arrays = [read_array(job.inputs["input_%d" % number]) for number in range(len(parameters.names))]
    outputs = interpreter.run(feeds(interpreter, parameters.names, arrays))
    write_arrays(job.out("outputs.npz"), outputs)
    with open(job.out("outputs.txt"), "w", encoding="utf-8") as stream:
        stream.writelines("%s: %s %s\n" % (name, array.dtype, list(array.shape)) for name, array in outputs.items())


def feeds(interpreter: UffInterpreter, names: List[str], arrays: List[np.ndarray]) -> Dict[str, np.ndarray]:
    """The arrays by the names of the inputs they are for; one without a name is for the only input."""
    if len(set(names)) < len(names):
        raise BadInput("An input is given twice; write NAME=X.npy once for each of %s" % ", ".join(interpreter.inputs))
    if names == [""] and len(interpreter.inputs) == 1:
        names = list(interpreter.inputs)
    return dict(zip(names, arrays))


def read_array(path: str) -> np.ndarray:
    """The array in a .npy file.

    Raises:
        BadInput: it is not a .npy file, or one that holds Python objects.
    """
    where = os.path.basename(path)
    try:
        with files.opened(path):  # a pipe is refused here: NumPy would wait for one that nobody writes
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header is a Python literal, an .npz a zip: damaged ones raise whatever there is
        raise BadInput("%s is not a .npy file of numbers (%.200s); write it with numpy.save" % (where, error)) from None
    if not isinstance(array, np.ndarray):
        raise BadInput("%s holds several arrays; give each one as a .npy of its own" % where)
    return np.ascontiguousarray(array)


def write_arrays(path: str, arrays: Dict[str, np.ndarray]) -> None:
    """An .npz as numpy.savez writes it, which itself takes no array of the name "file"."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


if __name__ == "__main__":
    run(main)
