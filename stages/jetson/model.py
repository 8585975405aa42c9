"""The model that an engine is built of: a convert artifact's files, as far as the board needs them."""

import json
import os
from typing import Any, List, NamedTuple

from stages import files
from stages.jetson.engine_file import LARGEST_JSON, sha256_of
from stages.job import BadInput

DESCRIPTION = "model.json"
FILES = {"uff": "model.uff", "onnx": "model.onnx"}


class Model(NamedTuple):
    """What is known of it before it is parsed; ``shape`` is [3, height, width]."""

    kind: str
    path: str
    input: str
    shape: List[int]
    classes: List[str]
    sha256: str
    description_sha256: str


def read(folder: str, kind: str) -> Model:
    """The model in ``folder`` as uff or onnx.

    Raises:
        BadInput: the folder holds no such model.
    """
    described = os.path.join(folder, DESCRIPTION)
    path = os.path.join(folder, FILES[kind])
    if not os.path.isfile(path):
        hint = "; make it with convert --to onnx" if kind == "onnx" else ""
        raise BadInput("There is no %s; is this the folder that convert made?%s" % (path, hint))
    try:
        held: Any = json.loads(files.read(described, LARGEST_JSON).decode("utf-8"))
        entry, classes = held["input"], [str(name) for name in held["classes"]]
        shape = [int(size) for size in entry["shape"]]
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError("its input has the shape %s" % shape)
        return Model(kind, path, str(entry["name"]), shape, classes, sha256_of(path), sha256_of(described))
    except OSError as error:
        raise BadInput("%s cannot be read (%s); is this the folder that convert made?" % (described, error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("%s does not describe a model (%s); convert again" % (described, error)) from error
