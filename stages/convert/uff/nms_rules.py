"""What NMS_TRT asserts of its fields and inputs, whichever parser makes the plugin: both linters hold models to it."""

from typing import Any, Dict, Iterator

from stages.convert.graph.detector_parameters import LARGEST_TOP_K


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
        yield "the plugin asserts %s = %d box numbers, there are %d" % (name, priors * locations * 4, numbers)
    wanted = priors * fields["numClasses"]
    if scores != wanted:
        yield "the plugin asserts numPriors * numClasses = %d scores, there are %d" % (wanted, scores)
    most = min(LARGEST_TOP_K, priors)
    if fields["topK"] > most:
        yield "topK %d is over %d, the smaller of %d and the priors" % (fields["topK"], most, LARGEST_TOP_K)


def broken_fields(fields: Dict[str, Any]) -> Iterator[str]:
    """How the plugin's ``fields`` contradict each other or their meaning."""
    if not 0 < fields["keepTopK"] <= fields["topK"]:
        yield "keepTopK %d is not between 1 and topK %d" % (
            fields["keepTopK"],
            fields["topK"],
        )
    # -1, and one more than there are, leave no class out.
    if not -1 <= fields["backgroundLabelId"] <= fields["numClasses"]:
        yield "backgroundLabelId is not one of the classes"
    if not (0 <= fields["confidenceThreshold"] < 1 and 0 <= fields["nmsThreshold"] <= 1):
        yield "a threshold is not between 0 and 1"
    if fields["codeType"] not in range(4):
        yield "codeType is %d, and for any but 0 to 3 the plugin writes no boxes, without a word" % fields["codeType"]
