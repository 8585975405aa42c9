"""A detector for blue-first pictures detects on them what the other one detects on red-first ones."""

import numpy as np
import pytest
from uff_bytes import Graph

from stages.jetson.swap_channels import swapped
from stages.job import BadInput
from stages.reference.interpreter import UffInterpreter


def run(data, tensor, tmp_path):
    (tmp_path / "model.uff").write_bytes(data)
    return UffInterpreter(str(tmp_path / "model.uff")).run(tensor)


def read(path):
    with open(str(path), "rb") as stream:
        return stream.read()


def test_the_detections_are_the_same(detector, picture, tmp_path):
    data = read(detector)
    made = swapped(data, "model.uff")
    assert len(made) == len(data) and made != data
    wanted = run(data, picture[np.newaxis], tmp_path)["NMS"]
    found = run(made, picture[np.newaxis, ::-1].copy(), tmp_path)["NMS"]
    assert (wanted[0, 0, :, 1] > 0).any()
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert swapped(made, "model.uff") == data


def separable(tmp_path, multiplier, second="Conv"):
    """A depthwise convolution, and what reads it."""
    random, graph = np.random.RandomState(1), Graph()
    graph.input("Input", [1, 3, 8, 8])
    graph.const("w1", random.randn(3, 3, 3, multiplier).astype(np.float32))
    graph.const("w2", random.randn(1, 1, 3 * multiplier, 5).astype(np.float32))
    orders = ("N+C", "+CK")
    graph.node("c1", "Conv", ["Input", "w1"], orders=orders, strides=[1, 1], implicit_padding="same", number_groups=3)
    if second == "Conv":
        graph.node("c2", "Conv", ["c1", "w2"], orders=orders, strides=[1, 1], implicit_padding="same")
    else:
        graph.node("c2", "Activation", ["c1"], func="relu")
    graph.node("MarkOutput_0", "MarkOutput", ["c2"])
    return read(graph.write(tmp_path / "separable.uff"))


@pytest.mark.parametrize("multiplier", [1, 2, 5])
def test_a_depthwise_first_convolution_is_swapped_with_the_next(tmp_path, multiplier):
    data = separable(tmp_path, multiplier)
    x = np.random.RandomState(2).randn(1, 3, 8, 8).astype(np.float32)
    wanted = run(data, x, tmp_path)["c2"]
    np.testing.assert_allclose(run(swapped(data, "it"), x[:, ::-1].copy(), tmp_path)["c2"], wanted, atol=1e-5)
    assert np.abs(run(data, x[:, ::-1].copy(), tmp_path)["c2"] - wanted).max() > 0.1


def test_what_cannot_be_swapped_is_refused(tmp_path):
    with pytest.raises(BadInput, match="read by c2 .Activation., not by one convolution"):
        swapped(separable(tmp_path, 2, "Activation"), "it")
    graph = Graph()
    graph.input("Input", [1, 3, 8, 8])
    graph.node("r", "Activation", ["Input"], func="relu")
    graph.node("MarkOutput_0", "MarkOutput", ["r"])
    with pytest.raises(BadInput, match="Input is read by r"):
        swapped(read(graph.write(tmp_path / "m.uff")), "it")
