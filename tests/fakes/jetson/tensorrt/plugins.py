"""The plugins' creators: the fields that each declares, by version, and the dimensions of what they put out.

The lists are those of the open sources of TensorRT 5.1 to 8.6 (Apache-2.0), plugin/.
"""

import os

from .network import Refused

INT32, FLOAT32, UNKNOWN = 5, 1, 8
GRID = ("minSize", "maxSize", "aspectRatios", "featureMapShapes", "variance", "numLayers")
NMS = (
    "shareLocation",
    "varianceEncodedInTarget",
    "backgroundLabelId",
    "numClasses",
    "topK",
    "keepTopK",
    "confidenceThreshold",
    "nmsThreshold",
    "inputOrder",
    "confSigmoid",
    "isNormalized",
    "codeType",
)
FLOATS = {"minSize", "maxSize", "aspectRatios", "variance", "confidenceThreshold", "nmsThreshold"}
LISTS = {"aspectRatios", "variance", "featureMapShapes", "inputOrder"}
# Read as they come, whatever their type (nmsPlugin.cpp has no assertion for them).
UNASSERTED = {"confSigmoid", "isNormalized"}


def declared(kind, version):
    """The fields that a creator declares in a version, or None where there is no such plugin."""
    if kind == "FlattenConcat_TRT":
        return ("axis", "ignoreBatch")
    if kind == "GridAnchor_TRT" or (kind == "GridAnchorRect_TRT" and version >= (7, 2, 0)):
        return GRID
    if kind == "NMS_TRT":
        return NMS + (("scoreBits", "isBatchAgnostic") if version >= (8, 0, 0) else ())
    return None


def creators(version):
    kinds = ["GridAnchor_TRT"] + (["NMS_TRT"] if version < (11, 0, 0) else [])
    kinds += ["GridAnchorRect_TRT"] if version >= (8, 0, 0) else []
    # Jetson's 5.x libraries do not list FlattenConcat_TRT; a library of the sample's brings it.
    return kinds + (["FlattenConcat_TRT"] if version >= (6, 0, 0) else [])


def collection(fields, kind, version):
    """What of a node's fields reaches the creator: [name, type, length, values], and the names that do not."""
    names, taken, lost = declared(kind, version), [], []
    for key, value in fields.items():
        name = key.split("_u_")[0]
        if key == "dtype":
            taken.append(["dtype", UNKNOWN, 0, []])
        elif name not in names:
            lost.append(name)
        elif "_u_" not in key:
            taken.append([name, UNKNOWN, 0, []])
        else:
            values = list(value) if isinstance(value, list) else [value]
            kind_of = FLOAT32 if any(isinstance(one, float) for one in values) else INT32
            taken.append([name, kind_of, len(values), values])
    return taken, lost


def check(kind, taken):
    """The creators' assertions.

    Raises:
        Refused: as "#assertion file,line" ends a real process.
    """
    for name, type_code, _, _ in taken:
        if name == "dtype" or name in UNASSERTED:
            continue
        if type_code != (FLOAT32 if name in FLOATS else INT32):
            where = {"NMS_TRT": "nmsPlugin.cpp", "FlattenConcat_TRT": "flattenConcat.cpp"}
            raise Refused("#assertion %s: type of %s" % (where.get(kind, "gridAnchorPlugin.cpp"), name))


def output_dims(kind, fields, inputs):
    """Dimensions of a plugin's outputs; ``fields`` by name.

    Raises:
        Refused: an assertion about the inputs.
    """
    if kind == "FlattenConcat_TRT":
        return [_flattened(fields, inputs)]
    if kind == "NMS_TRT":
        _check_nms(fields, inputs)
        return [(1, fields["keepTopK"], 7), (1, 1, 1)]
    sides = fields["featureMapShapes"]
    maps = [(side, side) for side in sides] if kind == "GridAnchor_TRT" else list(zip(sides[::2], sides[1::2]))
    if len(maps) != fields["numLayers"]:
        raise Refused("#assertion gridAnchorPlugin.cpp: numLayers")
    each = [3] + [len(fields["aspectRatios"]) + 1] * (len(maps) - 1)
    return [(2, height * width * boxes * 4, 1) for (height, width), boxes in zip(maps, each)]


def _flattened(fields, inputs):
    axis = fields["axis"]
    if axis not in (1, 2, 3):
        raise Refused("#assertion flattenConcat.cpp: axis")
    first = inputs[0].shape
    for one in inputs:
        if len(one.shape) != 3 or any(one.shape[d] != first[d] for d in range(3) if d != axis - 1):
            raise Refused("#assertion flattenConcat.cpp: input dimensions")
    total = sum(one.shape[0] * one.shape[1] * one.shape[2] for one in inputs)
    return tuple(total if d == axis - 1 else 1 for d in range(3))


def _check_nms(fields, inputs):
    if len(inputs) != 3:
        raise Refused("#assertion nmsPlugin.cpp,82: nbInputDims == 3")
    loc, conf, prior = (inputs[place].shape for place in fields["inputOrder"])
    if any(len(dims) != 3 for dims in (loc, conf, prior)):
        raise Refused("#assertion nmsPlugin.cpp,227: nbDims == 3")
    priors = prior[1] // 4
    if loc[0] != priors * 4 * (1 if fields["shareLocation"] else fields["numClasses"]):
        raise Refused("#assertion nmsPlugin.cpp,246: numPriors * numLocClasses * 4")
    if conf[0] != priors * fields["numClasses"]:
        raise Refused("#assertion nmsPlugin.cpp,249: numPriors * numClasses")


_registered = set()


def register():
    """The creators of libnvinfer_plugin; of 5.x it is told in both ways whether FlattenConcat_TRT is among them."""
    _registered.update(creators(_version()))
    if os.environ.get("NANOFORGE_FAKE_FLATTEN_CONCAT") == "built in":
        load_flatten_concat()


def load_flatten_concat():
    """What loading the sample's libflattenconcat.so does."""
    _registered.add("FlattenConcat_TRT")


def registered():
    return sorted(_registered)


def _version():
    from .versions import VERSION

    return VERSION
