import hashlib

import cv2
import numpy as np
import pytest
from lxml import etree

from stages import pixels
from stages.data.annotation import voc
from stages.demo import render

# The bytes of the demo are a promise: every machine and Python makes these.
DIGESTS = {
    1: "4aa9487ccf6f5881fc2103e28e2aa7f1b779ac9bc8614d072c5c760c23f532a7",
    2: "a4fd37ce15a22345bde8295530ec17bb21ae946eb0f8d9311d3742eecf084001",
    3: "1ce12f127f107180899e3fb5646c631677f639fbb081411526b61941add521e3",
}


@pytest.mark.parametrize("number", DIGESTS)
def test_a_picture_has_the_same_bytes_everywhere(number):
    shot, _ = render.picture(0, number)
    assert hashlib.sha256(pixels.encode_jpeg(shot, render.JPEG_QUALITY)).hexdigest() == DIGESTS[number]


def test_seed_and_number_decide_alone(run):
    one = run(render.main, {}, {"pictures": 2, "seed": 5}).bytes()
    more = run(render.main, {}, {"pictures": 3, "seed": 5}, cpus=2).bytes()
    other = run(render.main, {}, {"pictures": 2, "seed": 5 + 2**32}).bytes()
    assert one == {name: more[name] for name in one}
    assert len(more) == 6
    assert other["JPEGImages/demo-0001.jpg"] != one["JPEGImages/demo-0001.jpg"]


def test_boxes_touch_their_objects_on_all_sides():
    shot, group = render.picture(0, 4)
    assert shot.shape == (1080, 1920, 3)
    assert shot.dtype == np.uint8
    for one in group:
        xmin, ymin, xmax, ymax = one.box
        assert 0 <= xmin < xmax <= 1920
        assert 0 <= ymin < ymax <= 1080
        assert one.mask.shape == (ymax - ymin, xmax - xmin)
        assert all(edge.any() for edge in (one.mask[0], one.mask[-1], one.mask[:, 0], one.mask[:, -1]))


def test_objects_are_large_and_apart():
    scenes = [render.picture(1, number)[1] for number in range(1, 13)]
    assert {one.name for group in scenes for one in group} == {"cone", "ball", "mug"}
    for group in scenes:
        assert 1 <= len(group) <= 3
        for one in group:
            assert 240 <= max(one.mask.shape) <= 600
        for first, second in zip(group, group[1:]):
            assert render._shared(first.box, second.box) < 0.06


def test_the_xml_is_voc_and_names_the_photo(run):
    done = run(render.main, {}, {"pictures": 1, "seed": 0})
    annotation = voc.parse((done.folder / "Annotations/demo-0001.xml").read_bytes())
    photo = cv2.imread(str(done.folder / "JPEGImages" / annotation.filename))
    assert annotation.size == (1920, 1080) == (photo.shape[1], photo.shape[0])
    drawn = [(one.name, one.box) for one in render.picture(0, 1)[1]]
    assert drawn == [(one.name, tuple(int(edge) for edge in one.box)) for one in annotation.objects]
    root = etree.fromstring((done.folder / "Annotations/demo-0001.xml").read_bytes())
    assert [root.findtext("object/" + tag) for tag in ("pose", "truncated", "difficult")] == ["Unspecified", "0", "0"]
    assert done.metrics["boxes"] == len(annotation.objects)
