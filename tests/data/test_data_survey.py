"""What a dataset holds, from names and XML alone."""

import json

import pytest

from stages.data import survey
from stages.job import BadInput


@pytest.fixture
def make_survey(dataset, run):
    def start():
        done = run(survey.main, {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}, {})
        return json.loads((done.folder / "survey.json").read_text())

    return start


def test_a_survey_counts_without_reading_pixels(dataset, make_survey):
    dataset.fill(2)
    dataset.add("big.jpg", (("mug", (0, 0, 9, 9)),), (1920, 1080), data=b"never read")
    dataset.add("broken.jpg")
    (dataset.annotations / "broken.xml").write_text("<annotation>")
    dataset.add("lone.jpg")
    (dataset.annotations / "lone.xml").unlink()
    assert make_survey() == {
        "pictures": 5,
        "annotations": 4,
        "classes": {"ball": 2, "cone": 2, "mug": 1},
        "sizes": {"1920x1080": 1, "200x100": 2},
        "problems": {"damaged_xml": 1, "no_xml": 1},
    }


def test_xml_without_a_size_a_class_name_or_a_photo_is_counted_as_that(dataset, make_survey):
    dataset.add("a.jpg", (("", (0, 0, 9, 9)), ("cone", (0, 0, 9, 9))), (0, 0), data=b"never read")
    dataset.add("lost.jpg", (("ball", (0, 0, 9, 9)),))
    (dataset.photos / "lost.jpg").unlink()
    assert make_survey() == {
        "pictures": 1,
        "annotations": 2,
        "classes": {"cone": 1},
        "sizes": {"unknown": 1},
        "problems": {"no_image": 1},
    }


def test_an_empty_folder_is_refused(dataset, make_survey):
    with pytest.raises(BadInput, match="There is no photo"):
        make_survey()
