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


def cases(full: bool) -> List[Case]:
    """The exports, those of TensorFlow 1.12, which the others are held against, first.

    Without ``full``: every TensorFlow with both APIs and each architecture once, and the other detectors by 1.12 and
    1.15. Batch kinds alternate so that each TensorFlow and each API makes both.
    """
    made = []
    for tensorflow in TENSORFLOWS:
        for number, detector in enumerate(DETECTORS):
            for api in APIS:
                alternate = (number + APIS.index(api)) % 2 == 0
                for fixed in (True, False) if full else (alternate,):
                    chosen = (
                        full
                        or detector in _EVERYWHERE
                        or (tensorflow in (TENSORFLOWS[0], TENSORFLOWS[-1]) and api == APIS[number % 2])
                    )
                    if chosen:
                        made.append(Case(tensorflow, api, detector, fixed))
    return made


def folder(case: Case) -> str:
    """The name of the export folder of ``case``."""
    kind = "fixed" if case.fixed else "any"
    return "%s %s %s %s" % (case.detector, case.tensorflow, case.api, kind)
