"""Boxes against anchors: the quick way equals brute force, and the advice is worth what it says."""

from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest
from check_records import Shown, make_page, write_records
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import anchor_grids, overlap
from stages.anchor_grids import MultiscaleAnchors, SsdAnchors, halved_maps
from stages.check import anchor_advice, anchor_match, model_anchors
from stages.check.model_anchors import ModelAnchors
from stages.job import BadInput
from stages.parameters import CheckDataParameters

PARAMETERS = CheckDataParameters("ssd_mobilenet_v2", [300, 300])
shares = st.floats(0, 1, width=32)
ratios = st.floats(0.1, 10)
sides = st.integers(33, 400)


@st.composite
def ssd_anchors(draw: Any) -> SsdAnchors:
    low, high = sorted(draw(st.lists(st.floats(0.02, 1), min_size=2, max_size=2)))
    layers = draw(st.integers(1, 6))
    return SsdAnchors(
        layers,
        low,
        high,
        tuple(draw(st.lists(ratios, min_size=1, max_size=6))),
        draw(st.booleans()),
        draw(st.sampled_from((0.0, 1.0, 2.0))),
        base=draw(st.tuples(st.floats(0.3, 2), st.floats(0.3, 2))),
    )


def boxes_from(corners: List[Tuple[float, float, float, float]]) -> np.ndarray:
    rows = np.array(corners, np.float64).reshape(-1, 2, 2)
    return np.concatenate([rows.min(axis=1), rows.max(axis=1)], axis=1)


@settings(max_examples=60, deadline=None)
@given(ssd_anchors(), st.tuples(sides, sides), st.lists(st.tuples(*[shares] * 4), max_size=12))
def test_the_best_of_each_size_is_the_best_of_all(anchors: SsdAnchors, picture: Any, corners: Any) -> None:
    grids, boxes = anchors.grids(halved_maps(picture, 16, anchors.num_layers), picture), boxes_from(corners)
    brute = overlap.iou(anchor_grids.anchors(grids), boxes).max(axis=0, initial=0)
    np.testing.assert_allclose(anchor_grids.best_iou(grids, boxes), brute, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.tuples(sides, sides), st.lists(st.tuples(*[shares] * 4), max_size=12))
def test_so_it_is_in_a_feature_pyramid(picture: Any, corners: Any) -> None:
    grids = MultiscaleAnchors(3, 7, 4.0, (1.0, 2.0, 0.5), 2).grids(halved_maps(picture, 8, 5), picture)
    boxes = boxes_from(corners)
    brute = overlap.iou(anchor_grids.anchors(grids), boxes).max(axis=0, initial=0)
    np.testing.assert_allclose(anchor_grids.best_iou(grids, boxes), brute, atol=1e-12)


def of_shape(height: float, width: float, count: int = 400) -> np.ndarray:
    """Boxes of about that size, all over the picture."""
    random = np.random.RandomState(1)
    extent = np.array([height, width]) * np.exp(random.normal(0, 0.08, (count, 2)))
    low = random.rand(count, 2) * (1 - extent)
    return np.concatenate([low, low + extent], axis=1)


def advice_on(boxes: np.ndarray) -> Any:
    model = model_anchors.of_model(PARAMETERS, None, pytest.fail)
    training = np.arange(len(boxes)) % 4 > 0
    return anchor_advice.advise(model, boxes, training, anchor_match.best(model, boxes))


def test_anchors_are_fitted_where_boxes_have_another_shape() -> None:
    advice = advice_on(of_shape(0.08, 0.55))
    assert advice["worth"] and advice["measured_on"] == "unseen"
    assert advice["now"]["unseen"]["recall"] < 0.2 and advice["then"]["unseen"]["recall"] > 0.8
    assert advice["aspect_ratios"][:3] == [1.0, 2.0, 0.5] and len(advice["aspect_ratios"]) == 5
    assert advice == advice_on(of_shape(0.08, 0.55))


def test_what_the_advice_promises_is_what_its_own_text_gives(tmp_path: Path) -> None:
    boxes = of_shape(0.08, 0.55)
    advice = advice_on(boxes)
    path = config(tmp_path, advice["text"])
    path.write_text(path.read_text().replace("240", "300").replace("320", "300"))
    model = model_anchors.of_model(PARAMETERS, str(path), pytest.fail)
    told = anchor_match.summary(anchor_match.best(model, boxes[np.arange(len(boxes)) % 4 == 0]))
    assert told == advice["then"]["unseen"]


def test_good_anchors_are_left_as_they_are() -> None:
    assert advice_on(of_shape(0.35, 0.35))["worth"] is False


def test_of_a_few_boxes_there_is_no_advice() -> None:
    assert advice_on(of_shape(0.1, 0.5, 12)) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_clusters_are_shapes_of_the_boxes(seed: int, clusters: int) -> None:
    some = np.random.RandomState(seed).rand(30, 2) + 0.01
    found = anchor_advice.cluster_shapes(some, clusters)
    assert found.shape == (clusters, 2)
    assert (found >= some.min(axis=0)).all() and (found <= some.max(axis=0)).all()


CONFIG = """
model {
  ssd {
    num_classes: 2  # and much that check-data does not know
    image_resizer { fixed_shape_resizer { height: 240 width: 320 resize_method: AREA } }
    feature_extractor { type: "%s" min_depth: 16 conv_hyperparams { op: CONV } %s }
    anchor_generator { %s }
    loss { classification_loss { weighted_sigmoid {} } }
  }
}
train_config { batch_size: 8 }
"""


def config(folder: Path, anchors: str, extractor: str = "ssd_mobilenet_v1", more: str = "") -> Path:
    path = folder / "pipeline.config"
    path.write_text(CONFIG % (extractor, more, anchors), encoding="utf-8")
    return path


def read(folder: Path, *words: str) -> ModelAnchors:
    return model_anchors.of_model(PARAMETERS, str(config(folder, *words)), lambda _: None)


def test_a_config_of_one_s_own_decides_size_and_anchors(tmp_path: Path) -> None:
    model = read(tmp_path, "ssd_anchor_generator { min_scale: 0.1 aspect_ratios: [1.0, 0.3333] }")
    assert model.input_size == (240, 320) and model.maps[:2] == [(15, 20), (8, 10)]
    assert model.anchors == SsdAnchors(min_scale=0.1, aspect_ratios=(1.0, 0.3333))


def test_a_feature_pyramid_has_anchors_too(tmp_path: Path) -> None:
    words = "multiscale_anchor_generator { aspect_ratios: 1.0 scales_per_octave: 3 }"
    model = read(tmp_path, words, "ssd_resnet50_v1_fpn", "pad_to_multiple: 32")
    assert model.maps == [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]
    assert model.anchors == MultiscaleAnchors(3, 7, 4.0, (1.0,), 3)


@pytest.mark.parametrize(
    "anchors, extractor",
    [
        ("ssd_anchor_generator {}", "ssd_inception_v3"),
        ("ssd_anchor_generator { height_stride: 16 }", "ssd_mobilenet_v1"),
    ],
)
def test_of_anchors_that_are_not_known_nothing_is_said(tmp_path: Path, anchors: str, extractor: str) -> None:
    path = str(config(tmp_path, anchors, extractor))
    records = write_records(tmp_path / "records", [Shown("one.jpg")], ["cone"])
    health, html = make_page(records, tmp_path / "page", pipeline_config=path)
    assert health["anchors"] is None and health["advice"] is None
    assert "How the extractor %s" % extractor in html


@pytest.mark.parametrize(
    "anchors, words",
    [
        (
            "ssd_anchor_generator { min_scal: 0.1 }",
            "line 7: min_scal is no field of SsdAnchorGenerator; did you mean min",
        ),
        ("ssd_anchor_generator { num_layers: 4 }", "num_layers: 4 for the anchors, but 6 feature maps"),
        ("ssd_anchor_generator { aspect_ratios: [1, 0] }", "anchors that cannot be"),
        ("ssd_anchor_generator { scales: [0.1, 0.2] }", "lists 2 scales for 6 layers"),
        ("ssd_anchor_generator { min_scale: 1,5 }", "is not a pipeline.config: line 7"),
    ],
)
def test_anchors_that_cannot_be_are_one_sentence(tmp_path: Path, anchors: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(tmp_path, anchors)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "anchors",
    [
        "min_scale: -1",
        "min_scale: nan",
        "max_scale: inf",
        "base_anchor_width: 0",
        "interpolated_scale_aspect_ratio: nan",
    ]
    + ["aspect_ratios: [%s]" % ", ".join(["1.0"] * 101)],
)
def test_numbers_of_which_no_anchor_comes_are_one_sentence(tmp_path: Path, anchors: str) -> None:
    with pytest.raises(BadInput, match="pipeline.config"):
        read(tmp_path, "ssd_anchor_generator { %s }" % anchors)


@pytest.mark.parametrize(
    "anchors",
    ["", "aspect_ratios: 1.0 scales_per_octave: 999999", "aspect_ratios: 1.0 min_level: -5"]
    + ["aspect_ratios: 1.0 min_level: 60 max_level: 70", "aspect_ratios: 1.0 anchor_scale: nan"],
)
def test_a_pyramid_of_which_no_anchor_comes_is_one_sentence(tmp_path: Path, anchors: str) -> None:
    with pytest.raises(BadInput, match="pipeline.config describes"):
        read(tmp_path, "multiscale_anchor_generator { %s }" % anchors, "ssd_mobilenet_v1_fpn")


@pytest.mark.parametrize(
    "text, words",
    [
        ("model { faster_rcnn {} }", "describes no SSD model"),
        ("model { ssd { image_resizer { keep_aspect_ratio_resizer {} } } }", "must use a fixed_shape_resizer"),
        ("model { ssd { image_resizer { fixed_shape_resizer { height: -3 } } } }", "that is no picture"),
    ],
)
def test_other_models_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "pipeline.config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        model_anchors.of_model(PARAMETERS, str(path), pytest.fail)
