"""The simulated TensorRT is held against what is known of the real one.

Always: the rules that NVIDIA's parser was seen to follow, on small graphs. If NANOFORGE_RECORDED names the folder of
the recordings: the parser's calls for three detectors, and the attributes of the real modules of 8.6.1, 10.3 and 11.4.
"""

import ast
import gzip
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import FAKES
from tensorrt.network import Network, Refused
from tensorrt.uff_parser import Parse

from stages.convert.uff import schema
from tests.fakes import probes

RECORDED = os.environ.get("NANOFORGE_RECORDED", "")
MODELS = (
    "v1_d025_c3_300__tf112_a003_b1",
    "v2lite_d035_c3_300__tf115_a003",
    "incv2_d025_c3_300__tf112_a011",
)
COMPARED = (
    "op name dims in in_dims out out_dims out_names k s pre post dil mode maps groups type alpha beta axis first"
    " reshape exclusive exclusive_set names"
).split()
LISTING = """
import json, tensorrt
classes = {name: value for name, value in vars(tensorrt).items() if isinstance(value, type) and name[0] != "_"}
print(json.dumps({name: sorted(dir(value)) for name, value in classes.items()}))
"""
needs_recordings = pytest.mark.skipif(not RECORDED, reason="NANOFORGE_RECORDED names no folder")


def parse(data, size=(3, 300, 300), outputs=("MarkOutput_0",)):
    """The network that the simulated parser makes, and what it says where it refuses."""
    network = Network()
    try:
        Parse(data, network, {"Input": size}, outputs, (8, 5, 3), lambda words: None)
    except Refused as error:
        return network, str(error)
    return network, None


@needs_recordings
@pytest.mark.parametrize("model", MODELS)
def test_layers_are_those_that_nvidias_parser_made(model):
    with open(os.path.join(RECORDED, model + ".uff"), "rb") as stream:
        network, refusal = parse(stream.read())
    made = network.calls
    assert refusal is None
    with gzip.open(os.path.join(RECORDED, "parsed-%s.json.gz" % model), "rt") as stream:
        wanted = [json.loads(line) for line in stream]
    plugins = {call["name"]: call for call in made if call["op"] == "createPlugin"}
    for call in [call for call in wanted if call["op"] == "createPlugin"]:
        assert sorted(map(_plain, call["fields"])) == sorted(map(_plain, plugins.pop(call["name"])["fields"]))
    assert plugins == {}
    layers, real = ([call for call in calls if call["op"] != "createPlugin"] for calls in (made, wanted))
    assert len(layers) == len(real)
    for call, truth in zip(layers, real):
        assert {key: call.get(key) for key in COMPARED if key in truth} == {
            key: truth[key] for key in COMPARED if key in truth
        }
        for weights in ("kernel", "scale", "shift", "power"):
            if truth.get(weights):
                assert call[weights] == truth[weights][1]


def _plain(field):
    name, kind, length, values = field
    return name, kind, length, tuple(round(float(value), 7) for value in values)


def recorded_probes():
    """Name -> whether it was taken, and the lines of the layers that were made."""
    found = {}
    with gzip.open(os.path.join(RECORDED, "uff-parser-probes.txt.gz"), "rt") as stream:
        for line in stream:
            begun = re.match(r"##### (.*) rc (\d)", line)
            if begun:
                layers = []
                found[begun.group(1)] = begun.group(2) == "0", line, layers
            elif line.startswith("    "):
                layers.append(line.strip())
    return found


@needs_recordings
@pytest.mark.parametrize("name", probes.AS_RECORDED)
def test_small_graphs_become_the_layers_that_they_became(name):
    taken, said, layers = recorded_probes()[name]
    probe = probes.Probe()
    outputs = probes.AS_RECORDED[name](probe)
    data = schema.serialize(probe.marked(*outputs))
    wanted = [one for one in layers if not one.startswith(("createPlugin", "Outputs", "LOG"))]
    network, refusal = parse(data, (3, 8, 10), ["MarkOutput_%d" % number for number in range(len(outputs))])
    assert (refusal is None) == taken and (taken or refusal in said), refusal
    made = [call for call in network.calls if call["op"] not in ("createPlugin", "Outputs", "Constant")]
    assert len(made) == len(wanted), [call["name"] for call in made]
    for call, line in zip(made, wanted):
        kind, rest = line.split(" ", 1)
        title, parameters = rest[: rest.index(" {")], ast.literal_eval(rest[rest.index("{") :])
        assert (call["op"], call["name"]) == (kind, title)
        for key in set(parameters) & set(COMPARED):
            assert call[key] == parameters[key], (title, key)


def attributes(version):
    environment = dict(os.environ, NANOFORGE_FAKE_TENSORRT=version, PYTHONPATH=FAKES)
    done = subprocess.run([sys.executable, "-c", LISTING], env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode())


@needs_recordings
@pytest.mark.parametrize("version", ["8.6.1", "10.3.0", "11.4.0"])
def test_a_version_has_no_attribute_that_the_real_one_lacks(version):
    with open(os.path.join(RECORDED, "api-%s.json" % version)) as stream:
        real = json.load(stream)["classes"]
    inherited = set(dir(type("Plain", (), {}))) | {"_member_map_"}
    for name, found in attributes(version).items():
        if name not in real:
            assert name in ("Logger", "ILogger"), "%s has no %s" % (version, name)
        mine = {one for one in found if not one.startswith("_")} - inherited
        members = set(real[name].get("members", {})) | set(real[name].get("enum", {}))
        for base in real[name].get("bases", []):
            members |= set(real.get(base, {}).get("members", {}))
        assert mine - members - BY_PYTHON.get(name, set()) == set(), name


# Of Python's own types, which stand in for pybind11's.
BY_PYTHON = {
    "Dims": set(dir(tuple)),
    "Dims3": set(dir(tuple)),
    "IHostMemory": set(dir(bytes)),
}
for _enum in "BuilderFlag DataType MemoryPoolType NetworkDefinitionCreationFlag TensorIOMode UffInputOrder".split():
    BY_PYTHON[_enum] = set(dir(int)) | {"name", "value"}
