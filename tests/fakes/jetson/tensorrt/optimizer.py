"""What the builder says of its work: passes of the optimizer, then the timing of each layer that is left.

The lines are those of public logs: of 6.0 on a Nano (dusty-nv/jetson-inference issue 475), of 6.0 and 7.x
(NVIDIA/TensorRT issues 252 and 1090) and of 8.x. Of 5.x none was at hand; the short form is from memory.
"""

import ctypes

from . import device
from .logger import Severity
from .versions import VERSION

UNSEEN = ("Input", "createPlugin", "Outputs")


def fused(calls):
    """Names of the layers that are left: without constants; a scale goes into its convolution, an activation along."""
    readers = {}
    for call in calls:
        for number in call.get("in", []):
            readers[number] = readers.get(number, 0) + 1
    made, names = {}, []
    for call in calls:
        if call["op"] in (*UNSEEN, "Constant"):
            continue
        source = call["in"][0] if call.get("in") else None
        place = made.get(source)
        if call["op"] in ("Scale", "Activation") and place is not None and readers.get(source) == 1:
            if call["op"] == "Activation":
                names[place] += " + " + call["name"]
        else:
            place = len(names)
            names.append(call["name"])
        if call["op"] in ("Convolution", "Scale", "Activation"):
            made[call["out"][0]] = place
    return names


def tell(logger, network, layers):
    """Print the lines."""

    def say(words):
        logger.log(Severity.VERBOSE, words)

    say("Applying generic optimizations to the graph for inference.")
    say("Original: %d layers" % network.layer_count)
    alive = sum(call["op"] not in (*UNSEEN, "Constant") for call in network.calls)
    say("After dead-layer removal: %d layers" % alive)
    if VERSION >= (7, 0, 0):
        say("After Myelin optimization: %d layers" % alive)
    for step in ("vertical fusions", "final dead-layer removal", "tensor merging", "concat removal"):
        say("After %s: %d layers" % (step, len(layers)))
    say("Graph construction and optimization completed in 0.2 seconds.")
    if device.BUILD_SECONDS:
        ctypes.PyDLL(None).usleep(int(device.BUILD_SECONDS * 1e6))  # PyDLL keeps Python's lock
    for number, name in enumerate(layers):
        time_layer(say, number, name)
    if VERSION >= (8, 0, 0):
        say("After reformat layers: %d layers" % (len(layers) + 2))


def time_layer(say, number, name):
    if VERSION < (6, 0, 0):
        say("--------------- Timing %s(%d)" % (name, 3 if number % 2 else 14))
        say("Tactic 0 time %.6f" % milliseconds(number))
        return
    if number % 7 == 0:
        say("--------------- Timing Runner: <reformat> (Reformat)")
    say("--------------- Timing Runner: %s (FusedConvActConvolution)" % name)
    say("FusedConvActConvolution has no valid tactics for this config, skipping")
    say("--------------- Timing Runner: %s (CudaConvolution)" % name)
    say("Tactic: %d time %.6f" % (number, milliseconds(number)))


def milliseconds(number):
    """What the layer of that number takes."""
    return 0.01 + number % 7 / 100
