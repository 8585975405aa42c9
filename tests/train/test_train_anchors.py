"""The anchors that check-data looks at are those that object_detection trains with, and its advice can be converted."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from object_detection.builders import anchor_generator_builder, model_builder
from object_detection.protos.anchor_generator_pb2 import AnchorGenerator
from train_helpers import parameters

from stages import anchor_grids
from stages.anchor_grids import MultiscaleAnchors, SsdAnchors, halved_maps
from stages.convert.graph import grid_anchor
from stages.train import pipeline_config
from stages.train.pipeline_config import ARCHITECTURES
from stages.train.records import RecordSet

TOLERANCE = 1e-6
RATIOS = "aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333]"


def generated(text, maps, picture):
    """What object_detection's generator makes of a text: float [P, 4], ymin, xmin, ymax, xmax."""
    generator = anchor_generator_builder.build(text_format.Parse(text, AnchorGenerator()))
    with tf.Graph().as_default(), tf.Session() as session:
        lists = generator.generate(list(maps), im_height=picture[0], im_width=picture[1])
        return np.concatenate(session.run([one.get() for one in lists]))


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in sorted(set(ARCHITECTURES) - {"ssd_mobilenet_v1"})]


@pytest.mark.parametrize("architecture", ["ssd_mobilenet_v1", *SLOW])
def test_of_every_architecture(architecture, records_folder):
    """Feature maps by the network itself, anchors by the generator that its config builds."""
    size = (243, 321)
    chosen = parameters()._replace(architecture=architecture, input_size=list(size), depth_multiplier=0.25)
    config = pipeline_config.generate(chosen, RecordSet(records_folder))
    with tf.Graph().as_default(), tf.Session() as session:
        model = model_builder.build(config.model, is_training=False)
        picture = tf.zeros([1, size[0], size[1], 3])
        prediction = model.predict(model.preprocess(picture)[0], tf.constant([[size[0], size[1], 3]]))
        maps = [tuple(one.shape.as_list()[1:3]) for one in prediction["feature_maps"]]
        theirs = session.run(model.anchors.get())
    assert halved_maps(size, 16, 6) == maps
    np.testing.assert_allclose(anchor_grids.anchors(SsdAnchors().grids(maps, size)), theirs, atol=TOLERANCE)


@pytest.mark.parametrize(
    "text, anchors",
    [
        (RATIOS, SsdAnchors()),
        (RATIOS + " min_scale: 0.05 max_scale: 0.6", SsdAnchors(min_scale=0.05, max_scale=0.6)),
        ("aspect_ratios: [1.0, 0.2] num_layers: 3", SsdAnchors(3, aspect_ratios=(1.0, 0.2))),
        (RATIOS + " reduce_boxes_in_lowest_layer: false", SsdAnchors(reduce_boxes_in_lowest_layer=False)),
        (RATIOS + " interpolated_scale_aspect_ratio: 0", SsdAnchors(interpolated_scale_aspect_ratio=0.0)),
        (RATIOS + " interpolated_scale_aspect_ratio: 2", SsdAnchors(interpolated_scale_aspect_ratio=2.0)),
        (RATIOS + " num_layers: 3 scales: [0.1, 0.4, 0.5]", SsdAnchors(3, scales=(0.1, 0.4, 0.5))),
        (RATIOS + " base_anchor_height: 0.5 base_anchor_width: 2", SsdAnchors(base=(0.5, 2.0))),
    ],
)
def test_every_setting_of_the_generator_means_the_same(text, anchors):
    picture = (200, 333)
    maps = halved_maps(picture, 16, anchors.num_layers)
    theirs = generated("ssd_anchor_generator { %s }" % text, maps, picture)
    np.testing.assert_allclose(anchor_grids.anchors(anchors.grids(maps, picture)), theirs, atol=TOLERANCE)


@pytest.mark.parametrize("picture", [(320, 320), (300, 512)])
def test_a_feature_pyramid_means_the_same(picture):
    maps = halved_maps(picture, 8, 5, 32)
    text = "multiscale_anchor_generator { aspect_ratios: [1.0, 2.0, 0.5] scales_per_octave: 3 anchor_scale: 3 }"
    ours = MultiscaleAnchors(3, 7, 3.0, (1.0, 2.0, 0.5), 3).grids(maps, picture)
    np.testing.assert_allclose(anchor_grids.anchors(ours), generated(text, maps, picture), atol=TOLERANCE)


@pytest.mark.parametrize("further", [(), (1.5,), (8.0, 0.1), (0.1, 10.0, 1.3333, 0.75, 0.2)])
@pytest.mark.parametrize("scales", [(0.025, 0.25), (0.6, 1.0)])
def test_all_that_the_advice_may_say_is_what_the_plugin_makes(further, scales):
    anchors = SsdAnchors(6, *scales, aspect_ratios=(1.0, 2.0, 0.5) + further)
    maps = halved_maps((300, 300), 16, 6)
    theirs = generated(anchors.text(), maps, (300, 300))[:, [1, 0, 3, 2]]
    per_cell = [3] + [len(anchors.aspect_ratios) + 1] * 5
    solved = grid_anchor.solve(theirs, [side for side, _ in maps], per_cell)
    np.testing.assert_allclose(solved.aspect_ratios, anchors.aspect_ratios, rtol=1e-4)
