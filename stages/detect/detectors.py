"""The detectors that there are, by the name of what computes them."""

from typing import Mapping

from stages.detect import description
from stages.detect.backends.reference import ReferenceBackend
from stages.detect.detector import Detector
from stages.job import BadInput, StageFailed


def opened(inputs: Mapping[str, str], backend: str) -> Detector:
    """The detector of a job; close it, or use it in a ``with``.

    Args:
        inputs: folders by name: of convert as ``model``; for tensorrt of build-engine as ``engine`` instead; for
            tensorflow of export as ``graph`` too.
        backend: reference, tensorrt or tensorflow.

    Raises:
        BadInput: a folder does not hold what it should, or an engine is not of this board.
        StageFailed: a library that the backend needs is missing, or memory.
    """
    return {"reference": _reference, "tensorrt": _tensorrt, "tensorflow": _tensorflow}[backend](inputs)


def reference(folder: str) -> Detector:
    """The model in ``folder``, a convert artifact, by the reference interpreter.

    Raises:
        BadInput: the folder holds no model, or its two files do not belong together.
    """
    described = description.read(folder)
    return Detector(described, ReferenceBackend(folder, described))


def _reference(inputs: Mapping[str, str]) -> Detector:
    return reference(_folder(inputs, "model", "reference"))


def _tensorrt(inputs: Mapping[str, str]) -> Detector:
    folder = _folder(inputs, "engine", "tensorrt")
    from stages.detect.backends.tensorrt import TensorrtBackend

    described = description.read(folder)
    return Detector(described, TensorrtBackend(folder, described))


def _tensorflow(inputs: Mapping[str, str]) -> Detector:
    model, graph = (_folder(inputs, name, "tensorflow") for name in ("model", "graph"))
    try:
        from stages.detect.backends.tensorflow import TensorflowBackend
    except ImportError as error:
        raise StageFailed("%s: the backend tensorflow needs the environment train" % error) from error
    described = description.read(model).of_pixels()
    return Detector(described, TensorflowBackend(graph, described))


def _folder(inputs: Mapping[str, str], name: str, backend: str) -> str:
    if name not in inputs:
        raise BadInput(
            "The backend %s needs the input %s, and only %s came" % (backend, name, ", ".join(sorted(inputs)))
        )
    return inputs[name]
