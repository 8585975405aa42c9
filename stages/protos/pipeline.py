"""The one reader of pipeline.config, for training and for conversion."""

import os
import re
from typing import Callable, Dict, Tuple

from google.protobuf import text_format
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput
from stages.protos import other_versions, text_file, text_form

KIND = "pipeline.config"
LARGEST = 1 << 20  # bytes; the samples have 5000
# Nanoforge reads its own records, starts from model.checkpoint, and exports nothing while it evaluates.
PATHS = frozenset(("label_map_path", "input_path", "fine_tune_checkpoint", "visualization_export_dir", "export_path"))
# How other files begin that are given for it.
OTHERS = (
    (r"item\s*:?\s*[{<]", "a label map: give it as the label map"),
    (r"(all_)?model_checkpoint_path", "TensorFlow's list of checkpoints: name a checkpoint in model.checkpoint"),
    (r"node\s*[{<]", "a graph in text form: give the pipeline.config that was exported with it"),
    (r"<", "XML: give the pipeline.config of the training"),
    (r"\{", "JSON: give the pipeline.config of the training"),
)
OTHER_MODELS = ("faster_rcnn", "center_net", "experimental_model")
ONLY_SSD = "only SSD models (model { ssd { … } }) can be converted for the Jetson"
Warn = Callable[[str], None]


def read(path: str, warn: Warn, trains: bool = True) -> TrainEvalPipelineConfig:
    """The pipeline config in a text file, as object_detection reads it, and as people have it.

    Fields of an older or newer object_detection that make no difference are passed over with a word
    (:mod:`stages.protos.other_versions`). Paths are not looked at: they are replaced anyway.

    Args:
        warn: is told what was passed over, a sentence each.
        trains: the config is to be trained; else it is about a graph that was, and only that it can be read counts.

    Raises:
        BadInput: there is no such file, or it is not the config of an SSD; the message names the line.
    """
    text, name = text_file.read(path, KIND, LARGEST), os.path.basename(path)
    other = _other(text)
    if other:
        raise BadInput("%s is not a %s but %s" % (name, KIND, other))
    message = TrainEvalPipelineConfig()
    try:
        merged = text_form.merge(text, message, PATHS)
    except text_format.ParseError as error:
        raise BadInput("%s is not a %s: %s" % (name, KIND, text_form.reason(error))) from error
    if not merged.places and not merged.unknown:
        raise BadInput("%s holds nothing but comments and describes no model: %s" % (name, ONLY_SSD))
    _refuse_others(name, message, merged)
    first: Dict[Tuple[str, str, str], text_form.Unknown] = {}  # what is said again is told once
    for one in merged.unknown:
        first.setdefault((one.place.message, one.place.field, one.value), one)
    for unknown in first.values():
        _pass_over(name, unknown, warn, trains)
    if not message.model.HasField("ssd"):
        raise BadInput("%s describes no model: %s" % (name, ONLY_SSD))
    for place in {(place.message, place.field): place for place in merged.twice}.values():
        words = "%s, line %d: %s takes the place of what is said before it in the same braces"
        warn(words % (name, place.line, place.field))
    if merged.joined:
        words = (
            "%s says again what it says before: %s. The two become one each: of what both say the later counts,"
            " lists hold what both list. Remove those that you do not mean"
        )
        warn(words % (name, ", ".join("%s (line %d)" % (place.field, place.line) for place in merged.joined[:8])))
    return message


def _other(text: str) -> str:
    """What else the file is, as far as its beginning tells."""
    blanks = text_form.BLANKS.match(text)
    beginning = text[blanks.end() if blanks else 0 :][:100]
    return next((words for start, words in OTHERS if re.match(start, beginning)), "")


def _refuse_others(name: str, message: TrainEvalPipelineConfig, merged: text_form.Merged) -> None:
    said = merged.places + [unknown.place for unknown in merged.unknown]
    other = next((one for one in said if one.message == "DetectionModel" and one.field in OTHER_MODELS), None)
    if other and message.model.WhichOneof("model") != "ssd":
        raise BadInput("%s, line %d, describes a %s model: %s" % (name, other.line, other.field, ONLY_SSD))


def _pass_over(name: str, unknown: text_form.Unknown, warn: Warn, trains: bool) -> None:
    message, field, line = unknown.place
    said = "line %d: %.60s%s" % (line, field, ": %.60s" % unknown.value if unknown.value else "")
    why = other_versions.passed_over(message, field, unknown.value, trains)
    if why:
        words = "%s, %s, of another version of object_detection, is passed over: %s"
        warn(words % (name, said, why))
        return
    instead = other_versions.refused(message, field)
    if instead:
        words = "%s, %s is of another version of object_detection and makes a difference: %s"
        raise BadInput(words % (name, said, instead))
    near = unknown.nearest(other_versions.fields(message))
    raise BadInput("%s, %s is no field of %s; %s" % (name, said, message, near))
