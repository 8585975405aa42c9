"""The program behind run-uff: arrays in, arrays out."""

import os

import numpy as np
import pytest

from stages.job import BadInput, Job
from stages.parameters import RunUffParameters
from stages.reference import run


def job(folder, uff, names, arrays):
    out = folder / "out"
    out.mkdir()
    inputs = {"uff": uff}
    for number, array in enumerate(arrays):
        path = folder / ("x%d.npy" % number)
        path.write_bytes(array) if isinstance(array, bytes) else np.save(str(path), array)
        inputs["input_%d" % number] = str(path)
    parameters = RunUffParameters(names, fp16_decode=False)._asdict()
    return Job(
        {"stage": "run-uff", "inputs": inputs, "output": str(out), "scratch": "", "parameters": parameters, "cpus": 1}
    )


def test_every_output_is_written_by_its_name(difference, tmp_path):
    left, right = np.arange(4, dtype=np.float32)[np.newaxis], np.ones((1, 4), np.float32)
    work = job(tmp_path, difference, ["scope/right", "left"], [right, left])
    run.main(work)
    with np.load(work.out("outputs.npz")) as outputs:
        assert sorted(outputs.files) == ["file", "scope/out"]
        np.testing.assert_array_equal(outputs["scope/out"], left - right)
        np.testing.assert_array_equal(outputs["file"], -left)
    with open(work.out("outputs.txt")) as stream:
        assert "scope/out: float32 [1, 4]" in stream.read()


X = np.zeros((1, 4), np.float32)


@pytest.mark.parametrize(
    "names, arrays, told",
    [
        (["", ""], [X, X], "given twice"),
        ([""], [X], "has the inputs left, scope/right"),
        (["left", "right"], [X, X], "given are left, right"),
        (["left", "scope/right"], [X, X[0]], r"takes float32 \[1, 4\], not float32 \[4\]"),
        (["left", "scope/right"], [X, X.astype(np.float64)], "not float64"),
        (["left", "scope/right"], [X, b"1 2 3"], "x1.npy is not a .npy file"),
        (["left", "scope/right"], [X, b""], "x1.npy is not a .npy file"),
        (["left", "scope/right"], [X, np.array([{}])], "x1.npy is not a .npy file of numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(difference, tmp_path, names, arrays, told):
    work = job(tmp_path, difference, names, arrays)
    with pytest.raises(BadInput, match=told):
        run.main(work)
    assert os.listdir(work.output) == []
