"""A detector for blue-first pictures detects on them what the other one detects on red-first ones.

If NANOFORGE_RECORDED names the folder of the recordings, so do the detectors there, of 300 x 300 pixels; beside it, in
``uff``, are networks of others.
"""

import os

import numpy as np
import pytest
from uff_bytes import Graph

from stages.jetson.swap_channels import swapped
from stages.job import BadInput
from stages.reference.interpreter import UffInterpreter

RECORDED = os.environ.get("NANOFORGE_RECORDED", "")
needs_recordings = pytest.mark.skipif(not RECORDED, reason="NANOFORGE_RECORDED names no folder")


def run(data, tensor, tmp_path):
    (tmp_path / "model.uff").write_bytes(data)
    return UffInterpreter(str(tmp_path / "model.uff")).run(tensor)


def read(path):
    with open(str(path), "rb") as stream:
        return stream.read()


def photo(size):
    """Red, green and blue shapes on a grey ramp, uint8 [size, size, 3], red first."""
    made = np.repeat(np.linspace(40, 200, size, dtype=np.uint8)[:, np.newaxis], size, 1)[..., np.newaxis].repeat(3, 2)
    for channel, start in enumerate((0.1, 0.35, 0.6)):
        low, high = int(start * size), int((start + 0.25) * size)
        made[low:high, low:high] = 30
        made[low:high, low:high, channel] = 230
    return made


def tensor(picture):
    """The network's input, from -1 to 1, in the picture's order of channels."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis] * np.float32(2 / 255) - np.float32(1))


def test_the_detections_are_the_same(detector, picture, tmp_path):
    data = read(detector)
    made = swapped(data, "model.uff")
    assert len(made) == len(data) and made != data
    for seen in (picture[np.newaxis], tensor(photo(64))):
        wanted = run(data, seen, tmp_path)["NMS"]
        found = run(made, seen[:, ::-1].copy(), tmp_path)["NMS"]
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


@needs_recordings
@pytest.mark.parametrize(
    "name",
    ["v1_d025_c3_300__tf112_a003_b1", "v2lite_d035_c3_300__tf115_a003", "incv2_d025_c3_300__tf112_a011"],
)
def test_detectors_of_each_architecture_see_the_same(tmp_path, name):
    data, seen = read(os.path.join(RECORDED, name + ".uff")), photo(300)
    wanted = run(data, tensor(seen), tmp_path)["NMS"]
    found = run(swapped(data, name), tensor(seen[:, :, ::-1]), tmp_path)["NMS"]
    np.testing.assert_allclose(found, wanted, atol=5e-5)
    mistaken = run(data, tensor(seen[:, :, ::-1]), tmp_path)["NMS"]
    assert np.abs(mistaken - wanted).max() > 1e-3


@needs_recordings
@pytest.mark.parametrize(
    "name, told", [("lenet5.uff", "has no kernel of three channels"), ("sampleMovieLens.uff", "has 2 inputs")]
)
def test_networks_that_take_no_colours_are_refused(name, told):
    data = read(os.path.join(RECORDED, os.pardir, "uff", name))
    with pytest.raises(BadInput, match=told):
        swapped(data, name)
