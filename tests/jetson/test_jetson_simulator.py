"""The simulated TensorRT is held against what is known of the real one.

Always: the rules that NVIDIA's parser was seen to follow, on small graphs. If NANOFORGE_RECORDED names the folder of
the recordings: the parser's calls for three detectors, and the attributes of the real modules of 8.6.1, 10.3 and 11.4.
"""

import gzip
import json
import os
import subprocess
import sys

import pytest
from conftest import FAKES

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


def parsed(data, size=(3, 300, 300)):
    from tensorrt.network import Network
    from tensorrt.uff_parser import Parse

    network, said = Network(), []
    Parse(data, network, {"Input": size}, ["MarkOutput_0"], (8, 5, 3), said.append)
    return network.calls, said


@needs_recordings
@pytest.mark.parametrize("model", MODELS)
def test_layers_are_those_that_nvidias_parser_made(model):
    with open(os.path.join(RECORDED, model + ".uff"), "rb") as stream:
        made, _ = parsed(stream.read())
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
