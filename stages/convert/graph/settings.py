"""pipeline.config and label map: what they say of a detector, and whether it is the graph at hand."""

import os
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from stages.convert.graph import grid_anchor
from stages.convert.parity import measure
from stages.convert.parity.session import first_line, one_thread
from stages.job import BadInput

MOST_LAYERS = 64
MOST_IDS = 20  # that a sentence lists
UNUSED = "void"  # detectNet hides what it finds of a class of this name


class PipelineSettings:
    """What a pipeline.config says.

    Args:
        path: the file.

    Attributes:
        passed_over: what of the file is not looked at, a sentence each.

    Raises:
        BadInput: there is no such file, or it is not a pipeline.config of an SSD.
    """

    def __init__(self, path: str) -> None:
        from stages.protos import pipeline  # object_detection takes its time, and most graphs come without a file

        self._name = os.path.basename(path)
        self.passed_over: List[str] = []
        self._ssd = pipeline.read(path, self.passed_over.append, trains=False).model.ssd
        self.score_threshold: float = self._ssd.post_processing.batch_non_max_suppression.score_threshold

    def hold_against_anchors(self, anchors: np.ndarray, maps: List[Tuple[int, int]], height: int, width: int) -> None:
        """Refuse a file whose anchors are not all the graph's own, to 1e-5.

        Args:
            anchors: the graph's, float32 [P, 4], rows xmin, ymin, xmax, ymax, normalised.
            maps: height and width of the feature maps.
            height, width: of the network's input.

        Raises:
            BadInput: naming the first anchor that differs; or object_detection cannot make the file's anchors.
        """
        made = self._anchors(maps, height, width)
        if made.shape != anchors.shape:
            what = "%d anchors, the graph has %d" % (len(made), len(anchors))
        else:
            distance = np.abs(made.astype(np.float64) - anchors).max(axis=1)
            first = int((distance > grid_anchor.TOLERANCE).argmax())
            if not distance[first] > grid_anchor.TOLERANCE:
                return
            what = "anchor %d %s, the graph has %s" % (
                first,
                grid_anchor.row(made[first]),
                grid_anchor.row(anchors[first]),
            )
        raise BadInput("pipeline.config is not this graph's: with %s it makes %s" % (self._generator(), what))

    def _anchors(self, maps: List[Tuple[int, int]], height: int, width: int) -> np.ndarray:
        """What object_detection's own generator makes of the file: float32 [P, 4], xmin, ymin, xmax, ymax."""
        from object_detection.builders import anchor_generator_builder

        self._refuse_endless()
        with tf.Graph().as_default(), tf.Session(config=one_thread()) as session:
            try:
                generator = anchor_generator_builder.build(self._ssd.anchor_generator)
                boxes = generator.generate(maps, im_height=height, im_width=width)
                layers = session.run([layer.get() for layer in boxes])
            except (ArithmeticError, LookupError, TypeError, ValueError, tf.errors.OpError) as error:
                raise BadInput(
                    "pipeline.config is not this graph's: object_detection cannot make its anchors for %d "
                    "feature maps (%s)" % (len(maps), first_line(error))
                ) from error
        return np.concatenate(layers)[:, [1, 0, 3, 2]]

    def _refuse_endless(self) -> None:
        """The generators count up to what the file says, before they compare it with the feature maps."""
        generator = self._ssd.anchor_generator
        for counted in (
            generator.ssd_anchor_generator.num_layers,
            abs(generator.multiscale_anchor_generator.min_level),
            abs(generator.multiscale_anchor_generator.max_level),
            generator.multiscale_anchor_generator.scales_per_octave,
        ):
            if counted > MOST_LAYERS:
                raise BadInput("%s is not this graph's: it asks for %d layers of anchors" % (self._name, counted))

    def _generator(self) -> str:
        kind = self._ssd.anchor_generator.WhichOneof("anchor_generator_oneof") or "no anchor generator"
        values = getattr(self._ssd.anchor_generator, kind, None)
        return "%s { %s }" % (
            kind,
            text_format.MessageToString(values, as_one_line=True, float_format=".6g") if values is not None else "",
        )

    def hold_against(self, size: measure.Input, classes: int, variances: List[float], converter: str) -> None:
        """Refuse a file that says something else than the graph does.

        Raises:
            BadInput: every difference, in one sentence.
        """
        told = self._told()
        seen = {
            "image_resizer": "%d x %d" % (size.height, size.width),
            "num_classes": classes - 1,
            "box coder scales (x, y, width, height)": [grid_anchor.shortest(1 / variance) for variance in variances],
            "score_converter": converter,
        }
        differences = [
            "%s is %s in the file, %s in the graph" % (name, told[name], seen[name])
            for name in seen
            if told[name] != seen[name]
        ]
        if differences:
            raise BadInput("%s is not this graph's: %s" % (self._name, "; ".join(differences)))

    def _told(self) -> Dict[str, Any]:
        resizer = self._ssd.image_resizer.fixed_shape_resizer
        coder = self._ssd.box_coder.faster_rcnn_box_coder
        converter = self._ssd.post_processing.score_converter
        return {
            "image_resizer": "%d x %d" % (resizer.height, resizer.width),
            "num_classes": self._ssd.num_classes,
            "box coder scales (x, y, width, height)": [
                coder.x_scale,
                coder.y_scale,
                coder.width_scale,
                coder.height_scale,
            ],
            "score_converter": type(self._ssd.post_processing).ScoreConverter.Name(converter),
        }


class ClassNames(NamedTuple):
    """Names by class id, ``background`` first, and the ids that only stand for themselves: no class has them."""

    names: List[str]
    unused: List[int]


def class_names(path: str, classes: int) -> ClassNames:
    """The names of a label map by class id.

    Args:
        path: the label map, or "" where there is none: then the names are ``class 1``, ``class 2`` …
        classes: how many the graph predicts, background included.

    Raises:
        BadInput: the file is not a label map, or its last id is not classes - 1.
    """
    if not path:
        return ClassNames(["background"] + ["class %d" % number for number in range(1, classes)], [])
    from stages.protos import label_map

    names = label_map.read(path)
    last = max(names)
    if last != classes - 1:
        listed = str(sorted(names)) if len(names) <= MOST_IDS else "up to %d" % last
        raise BadInput(
            "%s has the class ids %s, but the graph predicts ids 1 to %d; give the label map it was trained with"
            % (os.path.basename(path), listed, classes - 1)
        )
    ids = range(1, classes)
    return ClassNames(
        ["background"] + [names.get(number, UNUSED) for number in ids],
        [number for number in ids if number not in names],
    )
