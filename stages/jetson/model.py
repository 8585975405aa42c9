"""The model that an engine is built of: a bundle's or a convert artifact's files, as far as the board needs them."""

import json
import os
from typing import Any, List, NamedTuple, Optional

from stages import files
from stages.jetson import model_files
from stages.jetson.engine_file import sha256_of
from stages.jetson.model_files import LARGEST_JSON
from stages.job import BadInput

DESCRIPTION, LABELS = "model.json", "labels.txt"
FILES = {"uff": "model.uff", "onnx": "model.onnx", "boxes": "model.boxes.onnx"}


class Model(NamedTuple):
    """What is known of it before it is parsed.

    Attributes:
        kind, path: uff, onnx or boxes, and the file of it.
        folder: where that file, ``model.json`` and ``labels.txt`` are.
        input, shape, classes: as ``model.json`` says; shape is [3, height, width].
        sha256, description_sha256: of the file and of ``model.json``.
        samples: the path of ``samples.json``; None where the model came without.
        calibration: the folder of pictures to calibrate with; None where the model came without.
    """

    kind: str
    path: str
    folder: str
    input: str
    shape: List[int]
    classes: List[str]
    sha256: str
    description_sha256: str
    samples: Optional[str]
    calibration: Optional[str]


def opened(path: str, scratch: str) -> str:
    """The folder that holds the model at ``path``, checked where it can be.

    Args:
        path: the artifact of convert or of bundle, a bundle's folder ``model``, or an archive: detector.pyz or a .zip.
        scratch: where an archive is unpacked.

    Raises:
        BadInput: there is nothing, it is something else, or its files are not what ``checksums.json`` says.
    """
    if os.path.isfile(path):
        return model_files.unpack(path, scratch)
    if not os.path.isdir(path):
        raise BadInput("There is no %s; name a bundle's detector.pyz, or the folder that bundle or convert made" % path)
    inside = os.path.join(path, "model")
    folder = inside if os.path.isdir(inside) else path
    if any(os.path.lexists(os.path.join(folder, name)) for name in (model_files.CHECKSUMS, model_files.SAMPLES)):
        model_files.check(folder)
    return folder


def read(path: str, kind: str, scratch: str) -> Model:
    """The model at ``path`` (see :func:`opened`) as uff, onnx or boxes.

    Raises:
        BadInput: there is no such model, or its files are not what they should be.
    """
    folder = opened(path, scratch)
    described, file = os.path.join(folder, DESCRIPTION), os.path.join(folder, FILES[kind])
    if not os.path.isfile(file):
        hint = "" if kind == "uff" else "; make it with convert --to onnx"
        raise BadInput("There is no %s; is this the folder that convert made?%s" % (file, hint))
    samples, calibration = (os.path.join(folder, name) for name in (model_files.SAMPLES, model_files.CALIBRATION))
    try:
        held: Any = json.loads(files.read(described, LARGEST_JSON).decode("utf-8"))
        entry, classes = held["input"], [str(name) for name in held["classes"]]
        shape = [int(size) for size in entry["shape"]]
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError("its input has the shape %s" % shape)
        return Model(
            kind,
            file,
            folder,
            str(entry["name"]),
            shape,
            classes,
            sha256_of(file),
            sha256_of(described),
            samples if os.path.isfile(samples) else None,
            calibration if os.path.isdir(calibration) else None,
        )
    except OSError as error:
        raise BadInput("%s cannot be read (%s); is this the folder that convert made?" % (described, error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("%s does not describe a model (%s); convert again" % (described, error)) from error
