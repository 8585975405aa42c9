"""pipeline.config and label map: what they say of a detector, and whether it is the graph at hand."""
import os
from typing import Any, Dict, List

from google.protobuf import text_format

from stages.convert import grid_anchor, proof
from stages.job import BadInput


class Settings:
    """What a pipeline.config says.

    Args:
        path: the file.

    Raises:
        BadInput: it is no pipeline.config of an SSD with ssd_anchor_generator.
    """

    def __init__(self, path: str) -> None:
        self._name = os.path.basename(path)
        self._ssd = _read(path).model.ssd
        if not self._ssd.anchor_generator.HasField("ssd_anchor_generator"):
            kind = self._ssd.anchor_generator.WhichOneof("anchor_generator_oneof") or "none"
            raise BadInput("%s has the anchor generator %s, GridAnchor_TRT can only make ssd_anchor_generator's"
                           % (self._name, kind))
        self._anchors = self._ssd.anchor_generator.ssd_anchor_generator
        self.layers = self._anchors.num_layers
        self.score_threshold = self._ssd.post_processing.batch_non_max_suppression.score_threshold
        self._refuse_other_anchors()

    def _refuse_other_anchors(self) -> None:
        reasons = {"scales": len(self._anchors.scales) > 0,
                   "reduce_boxes_in_lowest_layer: false": not self._anchors.reduce_boxes_in_lowest_layer,
                   "interpolated_scale_aspect_ratio": self._anchors.interpolated_scale_aspect_ratio != 1.0,
                   "height_stride or width_stride": bool(self._anchors.height_stride or self._anchors.width_stride),
                   "height_offset or width_offset": bool(self._anchors.height_offset or self._anchors.width_offset),
                   "base_anchor_height or base_anchor_width":
                       (self._anchors.base_anchor_height, self._anchors.base_anchor_width) != (1.0, 1.0)}
        used = [name for name, is_used in reasons.items() if is_used]
        if used:
            raise BadInput("%s sets %s in ssd_anchor_generator, which GridAnchor_TRT cannot express; train without"
                           % (self._name, " and ".join(used)))

    def grid(self, maps: List[int]) -> grid_anchor.GridAnchor:
        """The anchors' parameters as the file says them, for the graph's feature maps."""
        ratios = [grid_anchor.shortest(ratio, 1e-7) for ratio in self._anchors.aspect_ratios]
        return grid_anchor.GridAnchor(grid_anchor.shortest(self._anchors.min_scale, 1e-7),
                                      grid_anchor.shortest(self._anchors.max_scale, 1e-7), ratios, list(maps))

    def hold_against(self, size: proof.Input, classes: int, variances: List[float], sigmoid: bool) -> None:
        """Refuse a file that says something else than the graph does.

        Raises:
            BadInput: every difference, in one sentence.
        """
        told, seen = self._told(), {
            "image_resizer": "%d x %d" % (size.height, size.width), "num_classes": classes - 1,
            "box coder scales (x, y, width, height)": [grid_anchor.shortest(1 / variance) for variance in variances],
            "score_converter": "SIGMOID" if sigmoid else "IDENTITY"}
        differences = ["%s is %s in the file, %s in the graph" % (name, told[name], seen[name])
                       for name in seen if told[name] != seen[name]]
        if differences:
            raise BadInput("%s is not this graph's: %s" % (self._name, "; ".join(differences)))

    def _told(self) -> Dict[str, Any]:
        resizer = self._ssd.image_resizer.fixed_shape_resizer
        coder = self._ssd.box_coder.faster_rcnn_box_coder
        converter = self._ssd.post_processing.score_converter
        return {"image_resizer": "%d x %d" % (resizer.height, resizer.width), "num_classes": self._ssd.num_classes,
                "box coder scales (x, y, width, height)":
                    [coder.x_scale, coder.y_scale, coder.width_scale, coder.height_scale],
                "score_converter": type(self._ssd.post_processing).ScoreConverter.Name(converter)}


def _read(path: str) -> Any:
    from object_detection.protos import pipeline_pb2
    message = pipeline_pb2.TrainEvalPipelineConfig()
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8") as stream:
            text_format.Parse(stream.read(), message, allow_unknown_field=True)
    except OSError:
        raise BadInput("There is no pipeline.config at %s" % path) from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise BadInput("%s is no pipeline.config: %s" % (name, str(error).split("\n")[0])) from error
    if not message.model.HasField("ssd"):
        raise BadInput("%s describes no SSD model (model { ssd { … } }); only ssd_* models can be converted" % name)
    return message


def class_names(path: str, classes: int) -> List[str]:
    """The names of a label map by class id, ``background`` first.

    Args:
        path: the label map, or "" where there is none: then the names are ``class 1``, ``class 2`` …
        classes: how many the graph predicts, background included.

    Raises:
        BadInput: the file is no label map, or has other ids than 1 to classes - 1.
    """
    if not path:
        return ["background"] + ["class %d" % number for number in range(1, classes)]
    names = {item.id: (item.display_name or item.name) for item in _label_map(path).item}
    wanted = list(range(1, classes))
    if sorted(names) != wanted:
        raise BadInput("%s has the class ids %s, but the graph predicts ids 1 to %d; give the label map it was trained "
                       "with"
                       % (os.path.basename(path), sorted(names), classes - 1))
    return ["background"] + [names[number] for number in wanted]


def _label_map(path: str) -> Any:
    from object_detection.protos import string_int_label_map_pb2
    message = string_int_label_map_pb2.StringIntLabelMap()
    try:
        with open(path, encoding="utf-8") as stream:
            text_format.Parse(stream.read(), message, allow_unknown_field=True)
    except OSError:
        raise BadInput("There is no label map at %s" % path) from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise BadInput("%s is no label map: %s" % (os.path.basename(path), str(error).split("\n")[0])) from error
    return message
