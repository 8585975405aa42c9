"""The program behind run-uff: arrays in, arrays out."""

import contextlib
import os
import random

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
    parameters = RunUffParameters(names, tensorrt="", fp16_decode=False)._asdict()
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


def npy(header):
    """A .npy file of 16 bytes of data under any header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)


HEADER = "{'descr': '%s', 'fortran_order': False, 'shape': %s}"
SHAPES = ["(2**40,)", "(1099511627776,)", "(-4,)", "(1" + "0" * 4000 + ",)", "'x'", "(1,) * 99", "[4]", "(4.5,)"]
SHAPES += ["(None,)", "(" * 5000, "(0, 1" + "0" * 30 + ")"]
TYPES = ["|O", "<f99", "|S0", "|V0", "<M8", "", "<f4,<f4", "\xb2"]
HEADERS = ["{}", "[]", "1", "{'descr': {}, 'fortran_order': 1, 'shape': ()}", "lambda: 1", "[" * 9000]
HEADS = [b"\x93NUMPY\x02\x00" + b"\xff" * 4, b"\x93NUMPY\x09\x00xxxx", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04\x95"]


@pytest.mark.parametrize(
    "content",
    [npy(HEADER % ("<f4", shape)) for shape in SHAPES]
    + [npy(HEADER % (kind, "(4,)")) for kind in TYPES]
    + [npy(header) for header in HEADERS]
    + HEADS,
    ids=[str(number) for number in range(30)],
)
def test_a_file_of_another_kind_is_refused(difference, tmp_path, content):
    work = job(tmp_path, difference, ["left", "scope/right"], [X, content])
    with pytest.raises(BadInput):
        run.main(work)
    assert os.listdir(work.output) == []


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_a_truncated_or_changed_file_is_refused_or_read(tmp_path, save):
    save(str(tmp_path / "whole"), X)
    whole = next(tmp_path.iterdir()).read_bytes()
    noise, path = random.Random(0), tmp_path / "x.npy"
    for attempt in range(300):
        content = bytearray(whole)
        if attempt % 3:
            content[noise.randrange(len(content))] = noise.randrange(256)
        else:
            del content[noise.randrange(len(content)) :]
        path.write_bytes(bytes(content))
        with contextlib.suppress(BadInput):
            run.read_array(str(path))


def test_a_named_pipe_in_place_of_an_array_is_refused_unopened(tmp_path):
    os.mkfifo(str(tmp_path / "x.npy"))
    with pytest.raises(BadInput, match="x.npy is not a .npy file of numbers .*pipe"):
        run.read_array(str(tmp_path / "x.npy"))


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
