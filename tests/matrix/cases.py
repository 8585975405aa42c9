"""What the matrix exports: detectors x TensorFlow versions x generations of the object_detection code x batch kinds."""

from typing import Any, Dict, List, NamedTuple

TENSORFLOWS = ("1.12", "1.9", "1.13", "1.14", "1.15")
# When the code was written: tensorflow-object-detection-api 0.1.1 and tf-object-detection 0.0.3.
APIS = ("2019-05", "2019-09")


class Case(NamedTuple):
    """One export; ``fixed`` means a batch of one and a fixed input size, as ``--input_shape 1,H,W,3`` makes it."""

    tensorflow: str
    api: str
    detector: str
    fixed: bool


_V2, _LITE = {"type": "ssd_mobilenet_v2", "depth": "0.35"}, {"depthwise": "true", "kernel": 3}
DETECTORS: Dict[str, Dict[str, Any]] = {
    "mobilenet_v1 0.25": {"size": 300, "classes": 3},
    "mobilenet_v2 0.35": dict(_V2, size=256, classes=1),
    "ssdlite_v2 0.35": dict(_V2, size=320, classes=6, **_LITE),
    "inception_v2 0.25": {"type": "ssd_inception_v2", "override": "true", "size": 300, "classes": 2},
    "mobilenet_v1 0.5": {
        "depth": "0.5",
        "size": 256,
        "classes": 1,
        "min_scale": "0.05",
        "max_scale": "0.9",
        "aspect_ratios": ("1.0", "2.0", "0.5"),
        "y_scale": "8.0",
    },
    "mobilenet_v1 1.0": {"depth": "1.0", "size": 300, "classes": 90},
    "mobilenet_v1 0.75": {"depth": "0.75", "size": 450, "classes": 20, "score_threshold": "0.3"},
    "mobilenet_v2 0.5": dict(
        _V2,
        depth="0.5",
        size=300,
        classes=37,
        min_scale="0.1",
        aspect_ratios=("1.0", "2.0", "0.5", "3.0", "0.3333", "4.0"),
    ),
}
_EVERYWHERE = list(DETECTORS)[:4]  # each architecture once
# The dozen: each architecture by one generation of the code. Of two that share a generation one makes a fixed batch.
_FEW = {
    "2019-05": ("mobilenet_v1 0.25", "inception_v2 0.25"),
    "2019-09": ("ssdlite_v2 0.35", "mobilenet_v2 0.35"),
}


def chosen(which: str) -> List[Case]:
    """The exports, those of TensorFlow 1.12, which the others are held against, first.

    Args:
        which: ``every`` combination; ``page``: every TensorFlow with both generations and each architecture, and the
            other detectors by 1.12 and 1.15; ``few``: a dozen of the page, in which every TensorFlow meets both
            generations and both batch kinds, and every architecture meets two TensorFlows besides 1.12.
    """
    made = [
        Case(tensorflow, api, detector, fixed)
        for tensorflow in TENSORFLOWS
        for detector in DETECTORS
        for api in APIS
        for fixed in ((True, False) if which == "every" else (_alternate(detector, api),))
    ]
    keep = {"every": lambda _: True, "page": _is_on_the_page, "few": _is_of_the_few}[which]
    return [case for case in made if keep(case)]


def _alternate(detector: str, api: str) -> bool:
    """So that each TensorFlow and each generation makes both batch kinds."""
    return (list(DETECTORS).index(detector) + APIS.index(api)) % 2 == 0


def _is_on_the_page(case: Case) -> bool:
    if case.detector in _EVERYWHERE:
        return True
    its_own = APIS[list(DETECTORS).index(case.detector) % 2]
    return case.tensorflow in (TENSORFLOWS[0], TENSORFLOWS[-1]) and case.api == its_own


def _is_of_the_few(case: Case) -> bool:
    number = TENSORFLOWS.index(case.tensorflow)
    by_this = _FEW[case.api]
    return case.detector in (by_this if number == 0 else by_this[number % 2 :][:1])


def folder(case: Case) -> str:
    """The name of the export folder of ``case``."""
    kind = "fixed" if case.fixed else "any"
    return "%s %s %s %s" % (case.detector, case.tensorflow, case.api, kind)
