"""TensorRT's words in a build's log: lines as its versions print them, and how far the build is by them."""

import pytest

from stages.jetson import build_log, building
from stages.jetson.build_log import Progress, Told
from stages.job import EVENT_MARK


@pytest.mark.parametrize(
    "line, told",
    [
        ("[TensorRT] VERBOSE: --------------- Timing conv1 + relu1(14)", Told(layer="conv1 + relu1")),
        ("[TensorRT] VERBOSE: --------------- Timing Runner: c + relu1 (CudaConvolution)", Told(layer="c + relu1")),
        ("[01/02/2022-10:11:12] [TRT] [V] --------------- Timing Runner: NMS (PluginV2)", Told(layer="NMS")),
        (
            "[V] [TRT] --------------- Timing Runner: (Unnamed Layer* 6) [Fully Connected] + (Unnamed Layer* 7)"
            " [Activation] (CaskFullyConnected[0x80000009])",
            Told(layer="(Unnamed Layer* 6) [Fully Connected] + (Unnamed Layer* 7) [Activation]"),
        ),
        ("[TensorRT] VERBOSE: --------------- Timing Runner: <reformat> (Reformat)", None),
        ("[TRT] [V] --------------- Timing Runner: Optimizer Reformat(Input -> <out>) (Reformat)", None),
        ("[TensorRT] VERBOSE: --------------- Timing <reformat>(9)", None),
        ("[TensorRT] VERBOSE: After concat removal: 66 layers", Told(left=66)),
        ("[TensorRT] VERBOSE: After final dead-layer removal: 66 layers", Told(left=66)),
        ("[01/02/2022-10:11:12] [TRT] [V] Original: 370 layers", Told(left=370)),
        ("[TensorRT] ERROR: Network must have an output", Told(error="Network must have an output")),
        ("[01/02/2022-10:11:12] [TRT] [E] 2: [utils.cpp] out of memory", Told(error="2: [utils.cpp] out of memory")),
        ("#assertion/home/x/nmsPlugin.cpp,246", Told(error="#assertion/home/x/nmsPlugin.cpp,246")),
        ("[TensorRT] VERBOSE: Tactic: 1002 time 0.23", None),
        ("[TensorRT] INFO: Detected 1 inputs and 2 output network tensors.", None),
    ],
)  # fmt: skip
def test_a_line(line, told):
    assert build_log.read(line) == told


def heard(*lines):
    progress = Progress()
    for line in lines:
        progress.hear(line)
    return progress


def timed(name):
    return "[TensorRT] VERBOSE: --------------- Timing Runner: %s (CudaConvolution)" % name


def test_progress_counts_layers_once_and_against_those_that_are_left():
    progress = heard("Original: 370 layers", "After concat removal: 4 layers", timed("a"), timed("a"), timed("b + c"))
    assert (progress.done, progress.total) == (2, 4)
    progress.hear("[TRT] [V] After reformat layers: 9 layers")
    assert progress.total == 4
    for name in "defg":
        progress.hear(timed(name))
    assert (progress.done, progress.total) == (6, 6)  # more than were foreseen


def test_what_is_left_is_what_is_usual_until_its_own_pace_shows():
    progress = heard("After concat removal: 100 layers")
    assert progress.seconds_left(10, 300) == 290
    for number in range(25):
        progress.hear(timed(str(number)))
    assert progress.seconds_left(10, 300) == 290
    assert progress.seconds_left(60, 300) == 180
    assert heard().seconds_left(400, 300) == 0


def test_an_event_that_other_words_tore_apart_is_a_line_of_the_log():
    heard = building.Heard()
    assert not heard.goes_on(EVENT_MARK + '{"error": "[TRT] [E] mixed in')
    assert heard.errors == []
    heard.goes_on(EVENT_MARK + '{"error": "the builder gave up"}')
    assert heard.errors == ["the builder gave up"]
