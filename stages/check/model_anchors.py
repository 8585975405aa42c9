"""Which anchors the model will have: those that `train` gives an architecture, or those of a pipeline.config.

A pipeline.config is read by a description of the few fields that anchors hang on: object_detection, which has them all,
is not in environment data. Whether the rest of it can be trained, `train` says.
"""

import math
import os
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from stages import files
from stages.anchor_grids import AnchorGrid, MultiscaleAnchors, Size, SsdAnchors, halved_maps
from stages.job import BadInput
from stages.parameters import CheckDataParameters
from stages.protos import text_file, text_form

KIND = "pipeline.config"
LARGEST = 1 << 20  # bytes, as stages/protos/pipeline.py
MOST_PIXELS, MOST_LAYERS, MOST_ANCHORS = 1 << 14, 16, 100
FIRST_STRIDE = 16  # pixels in a cell of an SSD's first feature map
# Extractors whose feature maps halve each other (object_detection/models/*_feature_extractor.py).
SSD_EXTRACTORS = ("ssd_mobilenet_v1", "ssd_mobilenet_v2", "ssd_inception_v2")
PYRAMIDS = ("ssd_mobilenet_v1_fpn", "ssd_mobilenet_v2_fpn") + tuple("ssd_resnet%d_v1_fpn" % d for d in (50, 101, 152))
# Messages that are declared whole, so that a field that they lack is a misspelt one.
WHOLE = ("SsdAnchorGenerator", "MultiscaleAnchorGenerator")

# message -> name, number, type (one of descriptor.proto's, or a message's name), repeated, default; numbers and
# defaults as in object_detection/protos/*.proto.
Field = Tuple[str, int, str, bool, str]


def _one(name: str, number: int, kind: str, default: str = "") -> Field:
    return name, number, kind, False, default


def _many(name: str, number: int, kind: str) -> Field:
    return name, number, kind, True, ""


MESSAGES = {
    "SsdAnchorGenerator": (
        _one("num_layers", 1, "INT32", "6"),
        _one("min_scale", 2, "FLOAT", "0.2"),
        _one("max_scale", 3, "FLOAT", "0.95"),
        _many("aspect_ratios", 4, "FLOAT"),
        _one("reduce_boxes_in_lowest_layer", 5, "BOOL", "true"),
        _one("base_anchor_height", 6, "FLOAT", "1"),
        _one("base_anchor_width", 7, "FLOAT", "1"),
        _many("height_stride", 8, "INT32"),
        _many("width_stride", 9, "INT32"),
        _many("height_offset", 10, "INT32"),
        _many("width_offset", 11, "INT32"),
        _many("scales", 12, "FLOAT"),
        _one("interpolated_scale_aspect_ratio", 13, "FLOAT", "1"),
    ),
    "MultiscaleAnchorGenerator": (
        _one("min_level", 1, "INT32", "3"),
        _one("max_level", 2, "INT32", "7"),
        _one("anchor_scale", 3, "FLOAT", "4"),
        _many("aspect_ratios", 4, "FLOAT"),
        _one("scales_per_octave", 5, "INT32", "2"),
        _one("normalize_coordinates", 6, "BOOL", "true"),
    ),
    "AnchorGenerator": (
        _one("ssd_anchor_generator", 2, "SsdAnchorGenerator"),
        _one("multiscale_anchor_generator", 3, "MultiscaleAnchorGenerator"),
    ),
    "FixedShapeResizer": (_one("height", 1, "INT32", "300"), _one("width", 2, "INT32", "300")),
    "ImageResizer": (_one("fixed_shape_resizer", 2, "FixedShapeResizer"),),
    "FeaturePyramidNetworks": (_one("min_level", 1, "INT32", "3"), _one("max_level", 2, "INT32", "7")),
    "SsdFeatureExtractor": (
        _one("type", 1, "STRING"),
        _one("pad_to_multiple", 5, "INT32", "1"),
        _one("fpn", 10, "FeaturePyramidNetworks"),
        _one("num_layers", 12, "INT32", "6"),
    ),
    "Ssd": (
        _one("image_resizer", 2, "ImageResizer"),
        _one("feature_extractor", 3, "SsdFeatureExtractor"),
        _one("anchor_generator", 8, "AnchorGenerator"),
    ),
    "DetectionModel": (_one("ssd", 2, "Ssd"),),
    "TrainEvalPipelineConfig": (_one("model", 1, "DetectionModel"),),
}


class ModelAnchors(NamedTuple):
    """The anchors of a model.

    Attributes:
        model: its architecture, as people call it.
        input_size: of the network.
        anchors: what the generator is told, None where that is not known.
        maps: the feature maps.
        unknown: why nothing is known of its anchors; empty where it is.
    """

    model: str
    input_size: Size
    anchors: Union[SsdAnchors, MultiscaleAnchors, None]
    maps: List[Size]
    unknown: str = ""

    def grids(self) -> List[AnchorGrid]:
        """The anchors; none where they are not known."""
        return self.anchors.grids(self.maps, self.input_size) if self.anchors else []


def of_model(parameters: CheckDataParameters, config: Optional[str], warn: Callable[[str], None]) -> ModelAnchors:
    """The anchors of the architecture, or of the file ``config`` where there is one.

    Raises:
        BadInput: it cannot be read, or is the config of no SSD; the message names the line.
    """
    if config:
        return _configured(_read(config), os.path.basename(config), warn)
    size, anchors = (parameters.input_size[0], parameters.input_size[1]), SsdAnchors()
    maps = halved_maps(size, FIRST_STRIDE, anchors.num_layers)
    return ModelAnchors(parameters.architecture, size, anchors, maps)


def _read(path: str) -> Any:
    name, message = os.path.basename(path), PipelineConfig()
    try:
        merged = text_form.merge(text_file.read(path, KIND, LARGEST), message)
    except text_format.ParseError as error:
        raise BadInput("%s is not a %s: %s" % (name, KIND, text_form.reason(error))) from error
    for unknown in merged.unknown:
        if unknown.place.message in WHOLE:
            words = "%s, line %d: %.60s is no field of %s; %s"
            place = unknown.place
            raise BadInput(words % (name, place.line, files.readable(place.field), place.message, unknown.nearest()))
    if not message.model.HasField("ssd"):
        raise BadInput("%s describes no SSD model (model { ssd { … } }), whose anchors could be looked at." % name)
    return message.model.ssd


def _configured(ssd: Any, name: str, warn: Callable[[str], None]) -> ModelAnchors:
    resizer, extractor = ssd.image_resizer, ssd.feature_extractor
    if not resizer.HasField("fixed_shape_resizer"):
        raise BadInput("%s must use a fixed_shape_resizer: the Jetson's engine has one input size." % name)
    size = (resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width)
    if not all(0 < side <= MOST_PIXELS for side in size):
        raise BadInput("%s says an input of %d x %d pixels: that is no picture." % ((name,) + size))
    kind, generator = files.readable(extractor.type), ssd.anchor_generator
    multiple = max(1, extractor.pad_to_multiple)
    if kind in SSD_EXTRACTORS and generator.HasField("ssd_anchor_generator") and not _moved(generator):
        anchors = _ssd_anchors(generator.ssd_anchor_generator, name)
        layers = extractor.num_layers
        if layers != anchors.num_layers:
            raise BadInput("%s has num_layers: %d for the anchors, but %d feature maps." % (name, anchors[0], layers))
        return ModelAnchors(kind, size, anchors, halved_maps(size, FIRST_STRIDE, layers, multiple))
    if kind in PYRAMIDS and generator.HasField("multiscale_anchor_generator"):
        pyramid = _multiscale_anchors(generator.multiscale_anchor_generator, name)
        levels = extractor.fpn.max_level - extractor.fpn.min_level + 1
        maps = halved_maps(size, 1 << max(0, extractor.fpn.min_level), max(0, min(levels, MOST_LAYERS)), multiple)
        return ModelAnchors(kind, size, pyramid, maps)
    warn("How %s lays out its anchors is not known here: the page says nothing of them." % (kind or "the model"))
    unknown = "How the extractor %s with this anchor generator lays out its anchors is not known here." % (kind or "–")
    return ModelAnchors(kind, size, None, [], unknown)


def _moved(generator: Any) -> bool:
    """Whether its centres lie elsewhere than in the middles of the cells, which object_detection's builder, by any
    Python 3, makes no generator of."""
    said = generator.ssd_anchor_generator
    return any(len(getattr(said, side + what)) for side in ("height_", "width_") for what in ("stride", "offset"))


def _ssd_anchors(said: Any, name: str) -> SsdAnchors:
    ratios = _short(said.aspect_ratios)
    scales = tuple(said.scales) or (said.min_scale, said.max_scale)
    _check(name, (*ratios, *scales, said.base_anchor_height, said.base_anchor_width), said.num_layers, len(ratios) or 1)
    if not math.isfinite(said.interpolated_scale_aspect_ratio):
        raise BadInput("%s: interpolated_scale_aspect_ratio is no number." % name)
    if said.scales and len(said.scales) != said.num_layers:
        raise BadInput("%s lists %d scales for %d layers of anchors." % (name, len(said.scales), said.num_layers))
    return SsdAnchors(
        said.num_layers,
        _short([said.min_scale])[0],
        _short([said.max_scale])[0],
        ratios,
        said.reduce_boxes_in_lowest_layer,
        said.interpolated_scale_aspect_ratio,
        _short(said.scales),
        (said.base_anchor_height, said.base_anchor_width),
    )


def _multiscale_anchors(said: Any, name: str) -> MultiscaleAnchors:
    layers = said.max_level - said.min_level + 1
    positive = (*said.aspect_ratios, said.anchor_scale, said.scales_per_octave, said.min_level + 1)
    _check(name, positive, max(layers, said.max_level), len(said.aspect_ratios) * said.scales_per_octave)
    return MultiscaleAnchors(
        said.min_level, said.max_level, said.anchor_scale, _short(said.aspect_ratios), said.scales_per_octave
    )


def _short(values: Iterable[float]) -> Tuple[float, ...]:
    """The numbers as they were written: a float of protobuf's has them to six digits and more."""
    return tuple(float("%.6g" % value) for value in values)


def _check(name: str, positive: Sequence[float], layers: int, anchors: int) -> None:
    """``anchors``: how many there are in a cell of a feature map."""
    if not 1 <= layers <= MOST_LAYERS or not all(0 < value < 1e6 for value in positive):
        raise BadInput(
            "%s describes anchors that cannot be: each needs a scale and a ratio above 0, on a layer." % name
        )
    if not 1 <= anchors <= MOST_ANCHORS:
        raise BadInput("%s describes %d anchors a cell: 1 to %d can be looked at." % (name, anchors, MOST_ANCHORS))


def _declared() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="nanoforge/anchors.proto", package="nanoforge.anchors")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated, default in fields:
            label = "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
            added = message.field.add(name=field, number=number, label=label)
            if kind in MESSAGES:
                added.type, added.type_name = added.TYPE_MESSAGE, ".nanoforge.anchors." + kind
            else:
                added.type = added.Type.Value("TYPE_" + kind)
            if default:
                added.default_value = default
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nanoforge.anchors.TrainEvalPipelineConfig"))


PipelineConfig = _declared()
