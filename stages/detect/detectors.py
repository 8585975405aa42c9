"""The detectors that there are, by the name of what computes them."""

from typing import Mapping

from stages.detect import description
from stages.detect.backends.reference import ReferenceBackend
from stages.detect.detector import Detector


def opened(inputs: Mapping[str, str], backend: str) -> Detector:
    """The detector of a job.

    Args:
        inputs: folders by name: ``model`` (of convert).
        backend: reference.

    Raises:
        BadInput: a folder does not hold what it should.
    """
    return {"reference": _reference}[backend](inputs)


def reference(folder: str) -> Detector:
    """The model in ``folder``, a convert artifact, by the reference interpreter.

    Raises:
        BadInput: the folder holds no model, or its two files do not belong together.
    """
    described = description.read(folder)
    return Detector(described, ReferenceBackend(folder, described))


def _reference(inputs: Mapping[str, str]) -> Detector:
    return reference(inputs["model"])
