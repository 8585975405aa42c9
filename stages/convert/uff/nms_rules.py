"""What NMS_TRT asserts of its fields and inputs, whichever parser makes the plugin: both linters hold models to it."""

from typing import Any, Dict, Iterator

from stages.convert.graph.detector_parameters import LARGEST_TOP_K
from stages.convert.rules import said


def broken_inputs(fields: Dict[str, Any], numbers: int, scores: int, priors: int) -> Iterator[str]:
    """How the inputs do not fit the plugin's ``fields``.

    Args:
        fields: values by the plugin's names.
        numbers: of the boxes, over all anchors.
        scores: how many, over all anchors and classes.
        priors: how many anchors.
    """
    locations = 1 if fields["shareLocation"] else fields["numClasses"]
    if numbers != priors * locations * 4:
        name = "numPriors * 4" if fields["shareLocation"] else "numPriors * numClasses * 4"
        words = "the plugin asserts %s = %d box numbers, there are %d" % (name, priors * locations * 4, numbers)
        yield said("nms-boxes", words)
    wanted = priors * fields["numClasses"]
    if scores != wanted:
        words = "the plugin asserts numPriors * numClasses = %d scores, there are %d" % (wanted, scores)
        yield said("nms-scores", words)
    most = min(LARGEST_TOP_K, priors)
    if fields["topK"] > most:
        words = "topK %d is over %d, the smaller of %d and the priors" % (fields["topK"], most, LARGEST_TOP_K)
        yield said("nms-topk", words)


def broken_fields(fields: Dict[str, Any]) -> Iterator[str]:
    """How the plugin's ``fields`` contradict each other or their meaning."""
    if not 0 < fields["keepTopK"] <= fields["topK"]:
        yield said("nms-keep", "keepTopK %d is not between 1 and topK %d" % (fields["keepTopK"], fields["topK"]))
    # -1, and one more than there are, leave no class out.
    if not -1 <= fields["backgroundLabelId"] <= fields["numClasses"]:
        yield said("nms-background", "backgroundLabelId is not one of the classes")
    if not (0 <= fields["confidenceThreshold"] < 1 and 0 <= fields["nmsThreshold"] <= 1):
        yield said("nms-thresholds", "a threshold is not between 0 and 1")
    if fields["codeType"] not in range(4):
        words = "codeType is %d, and for any but 0 to 3 the plugin writes no boxes, without a word" % fields["codeType"]
        yield said("nms-code", words)
    if fields.get("scoreBits", 16) in range(1, 11):
        yield said("nms-bits", "scoreBits is %d, which rounds scores to so many bits" % fields["scoreBits"])
