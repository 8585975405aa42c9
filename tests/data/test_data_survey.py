"""What a dataset holds, from names, XML and the headers of photos alone."""

import json

import pytest
from data_voc import PARAMETERS, photo

from stages.data import records, survey
from stages.data.annotation.frame import Reading
from stages.data.findings import Findings, policies
from stages.data.pairing.pairing import Folders, files_of, pairs
from stages.job import BadInput

CONE, BALL = ("cone", (20, 10, 120, 80)), ("ball", (130, 40, 190, 90))


@pytest.fixture
def make_survey(dataset, run):
    def start(**inputs):
        inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations), **inputs}
        done = run(survey.main, inputs, {"image_size": [64, 96]})
        return json.loads((done.folder / "survey.json").read_text())

    return start


def counts(found):
    return {kind: (one["count"], one["dropped"]) for kind, one in found["problems"].items()}


def test_a_survey_counts_without_decoding_pixels(dataset, make_survey):
    dataset.fill(2)
    cut_off = photo(1920, 1080)[:700]
    dataset.add("big.jpg", (("mug", (0, 0, 900, 900)),), (1920, 1080), data=cut_off)
    dataset.add("broken.jpg")
    (dataset.annotations / "broken.xml").write_text("<annotation>")
    dataset.add("lone.jpg")
    (dataset.annotations / "lone.xml").unlink()
    found = make_survey()
    assert (found["pictures"], found["annotations"], found["labelled"]) == (5, 4, {"pictures": 4, "kept": 3})
    assert found["classes"] == found["objects"] == {"ball": 2, "cone": 2, "mug": 1}
    assert found["sizes"] == {"1920x1080": 1, "200x100": 2}
    assert counts(found) == {"damaged_xml": (1, 1), "no_xml": (1, 1)}
    assert found["problems"]["no_xml"]["first"].startswith("lone.jpg: ")
    assert (found["patterns"], found["variants"], found["forms"]) == ([], [], {})


def test_only_boxes_that_records_keep_are_counted_for_a_class(dataset, make_survey):
    dataset.add("a.jpg", (CONE, BALL, ("ball", (20, 20, 20, 40)), ("cone", (190, 80, 210, 90))))
    dataset.add("b.jpg", (CONE, ("cone", (0, 0, 2, 90)), ("tree", ("x", 10, 26, 90))))
    found = make_survey()
    assert found["objects"] == {"ball": 2, "cone": 4, "tree": 1}
    assert found["classes"] == {"ball": 1, "cone": 2, "tree": 0}
    assert found["labelled"] == {"pictures": 2, "kept": 1}
    assert counts(found)["outside_box"] == (1, 0) and counts(found)["empty_box"] == (1, 1)


def test_a_survey_counts_what_records_keep(dataset, make_survey, make_records):
    dataset.fill(3)
    dataset.add("a.jpg", (CONE, ("cone", (190, 80, 150, 20)), ("ball", (150, 10, 260, 99)), ("ball", (1, 1, 2, 2))))
    dataset.add("b.jpg", (CONE, CONE), (100, 200), photo(200, 100))
    found = make_survey()
    made = make_records().dataset["classes"]
    assert {one["name"]: sum(one["boxes"].values()) for one in made} == found["classes"]


def test_a_shape_outside_of_any_object_is_a_problem_as_records_take_it(dataset, make_survey, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", ())
    path = dataset.annotations / "a.xml"
    path.write_text(path.read_text().replace("</annotation>", "<item><polygon/></item></annotation>"))
    found = make_survey()
    assert counts(found) == {"no_objects": (1, 1)} and found["labelled"] == {"pictures": 3, "kept": 2}
    assert make_records().kinds == [("no_objects", "drop")]


def test_what_the_headers_tell_is_a_problem(dataset, make_survey):
    dataset.add("a.jpg", (CONE,), data=b"no picture")
    dataset.add("b.jpg", (CONE,), (200, 100), photo(300, 100))
    dataset.add("c.jpg", (CONE,), (200, 100), photo(100, 200, orientation=6))
    dataset.add("d.jpg", (CONE,), data=b"GIF89a" + bytes(40))
    dataset.add("e.jpg", (CONE,), (20000, 6000), data=photo().replace(b"\x00\x64\x00\xc8", b"\x17\x70\x4e\x20"))
    found = make_survey()
    bad = {"unreadable_image": (1, 1), "unread_format": (1, 1), "large_image": (1, 1)}
    assert counts(found) == {**bad, "size_mismatch": (1, 1)}
    assert found["classes"] == {"cone": 1}


def test_names_in_another_unicode_form_are_one_class(dataset, make_survey):
    for number, name in enumerate(("caf\u00e9", "cafe\u0301", "cafe\u0301")):
        dataset.add("%d.jpg" % number, ((name, (20, 10, 120, 80)),))
    found = make_survey()
    assert found["classes"] == {"caf\u00e9": 3} and found["forms"] == {"caf\u00e9": 2} and found["variants"] == []


def test_names_that_are_alike_are_told_the_most_frequent_first(dataset, make_survey):
    names = ["Cone", "cone", "cone", "traffic cone", "traffic_cone", "traffic_cone", "Traffic-Cone", "tree", "trees"]
    for number, name in enumerate(names):
        dataset.add("%d.jpg" % number, ((name, (20, 10, 120, 80)),))
    assert make_survey()["variants"] == [["cone", "Cone"], ["traffic_cone", "Traffic-Cone", "traffic cone"]]


def test_a_pattern_is_told_and_counted_as_if_its_key_were_set(dataset, make_survey):
    for number in range(6):
        dataset.add("%d.jpg" % number, (("cone", (90 + 10 * number, 40 + 5 * number, 40, 25)),))
    found = make_survey()
    assert [(one["key"], one["value"]) for one in found["patterns"]] == [("boxes", "xywh")]
    assert found["classes"] == {"cone": 6} and found["problems"] == {}


def test_the_split_that_a_dataset_brings_is_counted(dataset, make_survey):
    for side, count in (("train", 3), ("valid", 2), ("test", 1)):
        for number in range(count):
            dataset.add("%s/%s-%d.jpg" % (side, side, number))
    found = make_survey()
    assert found["split"] == {
        "source": "folders",
        "pictures": {"train": 3, "validation": 2, "test": 1, "by chance": 0},
    }


def test_more_processes_see_the_same(dataset, monkeypatch):
    monkeypatch.setattr(survey, "MANY", 1)
    monkeypatch.setattr(survey, "CHUNK", 2)
    dataset.fill(5)
    folders = Folders(str(dataset.photos), str(dataset.annotations))
    settings = survey.SurveySettings(folders, Reading("auto", "xml"), (64, 96), policies({}))
    items = pairs(folders, files_of(folders), Findings(settings.policy))
    told = []
    found = survey.survey(settings, items, 2, told.append)
    assert found.classes == survey.survey(settings, items).classes == {"cone": 5, "ball": 5}
    assert told == [2, 4, 5]


def test_a_policy_that_fails_is_for_records_to_fail_on(dataset):
    dataset.add("a.jpg", (CONE, ("cone", (20, 20, 20, 40))))
    folders = Folders(str(dataset.photos), str(dataset.annotations))
    settings = survey.SurveySettings(folders, Reading("auto", "xml"), (64, 96), policies({"empty_box": "fail"}))
    found = survey.survey(settings, pairs(folders, files_of(folders), Findings(settings.policy)))
    assert found.problems["empty_box"].dropped == 1


def test_an_empty_folder_is_refused(dataset, make_survey):
    with pytest.raises(BadInput, match="There is no photo"):
        make_survey()


def written(shape, box):
    """A true box as a dataset of that shape has it, in a picture of 200x100."""
    xmin, ymin, xmax, ymax = box
    return {
        "xywh": (xmin, ymin, xmax - xmin, ymax - ymin),
        "relative": (xmin / 200, ymin / 100, xmax / 200, ymax / 100),
        "corners": (xmax, ymax, xmin, ymin),
    }[shape]


@pytest.mark.parametrize("shape", ["xywh", "relative", "corners"])
def test_records_refuse_a_pattern_and_read_it_once_it_is_stated(dataset, run, shape):
    truth = {}
    for number in range(8):
        truth["%d.jpg" % number] = box = (90 + 10 * number, 40 + 3 * number, 128 + 9 * number, 60 + 4 * number)
        dataset.add("%d.jpg" % number, (("cone", written(shape, box)),))
    inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
    with pytest.raises(BadInput, match=r'\.xml, line \d+ \(object 1\).*dataset\.boxes = "%s"' % shape):
        run(records.main, inputs, dict(PARAMETERS, classes=["cone"]))
    done = run(records.main, inputs, dict(PARAMETERS, classes=["cone"], boxes=shape))
    for name, (xmin, ymin, xmax, ymax) in truth.items():
        assert done.line(name)["boxes"] == [pytest.approx([ymin / 100, xmin / 200, ymax / 100, xmax / 200])]


def test_records_refuse_exchanged_sizes_and_read_them_once_that_is_stated(dataset, run):
    for number in range(4):
        dataset.add("%d.jpg" % number, (CONE,), (100, 200), photo(200, 100, seed=number))
    inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
    with pytest.raises(BadInput, match='the XML says 100x200, the photo is 200x100.*dataset.sizes = "photo"'):
        run(records.main, inputs, dict(PARAMETERS, classes=["cone"]))
    done = run(records.main, inputs, dict(PARAMETERS, classes=["cone"], sizes="photo"))
    assert done.line("0.jpg")["boxes"] == [pytest.approx([0.1, 0.1, 0.8, 0.6])]
