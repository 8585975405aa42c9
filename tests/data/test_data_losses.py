"""How much of a dataset may vanish before the user is asked, and what is told of it."""

import json
import os
import string

import pytest
from data_voc import PARAMETERS, Dataset, photo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.data import records
from stages.data.finding_log import FindingLog
from stages.data.findings import DataFinding, policies
from stages.data.losses import Losses, Whole
from stages.data.picture_record import PictureRecord
from stages.data.split.splits import Split
from stages.job import BadInput, Job

TINY = ("cone", (10, 10, 11, 11))
GOOD = ("cone", (20, 10, 120, 80))


def judged(tmp_path, made, whole, meant=()):
    losses = Losses(meant)
    with FindingLog(str(tmp_path), policies({})) as log:
        for one in made:
            log.note(one.findings)
            losses.record(one)
        losses.judge(whole, log)


def picture(kind=None, boxes=1, kept=None):
    """A picture of so many boxes that was left out for ``kind``, or kept without those of the kind."""
    if kept is None:
        found = [DataFinding(kind, "a.jpg", None, None, "it is bad", "drop")] if kind else []
        return PictureRecord("", b"", b"", {}, found, boxes, boxes, "")
    found = [DataFinding(kind, "a.xml", 1, 9, "it is bad", "drop")] * (boxes - kept)
    return PictureRecord("", b"", b"", {"boxes": [0] * kept}, found, boxes, boxes, "78")


@pytest.mark.parametrize(
    "made, whole, refused",
    [
        ([picture("damaged_xml")] * 2, Whole(19, 0), True),
        ([picture("damaged_xml")] * 2, Whole(20, 0), False),
        ([picture("damaged_xml")] * 2, Whole(3, 3), True),
        ([picture("damaged_xml")], Whole(2, 2), False),
        ([picture("damaged_xml", 30)] * 2, Whole(100, 100), True),
        ([picture("small_box", 10, 3)] * 3, Whole(30, 200), True),
        ([picture("small_box", 10, 3)] * 3, Whole(30, 210), False),
        ([picture("small_box", 10, 3)], Whole(30, 50), False),
        ([picture("unknown_class", 10, 3)] * 3, Whole(3, 30), False),
        ([picture("duplicate_object", 10, 3)] * 3, Whole(3, 30), False),
    ],
)
def test_more_than_a_tenth_of_two_pictures_or_more_is_refused(tmp_path, made, whole, refused):
    if not refused:
        judged(tmp_path, made, whole)
        return
    kind = made[0].findings[0].kind
    with pytest.raises(BadInput, match='(?s)more than a tenth.*%s = "drop".*--accept-losses' % kind):
        judged(tmp_path, made, whole)
    judged(tmp_path, made, whole, meant=[kind])


def test_the_refusal_has_counts_first_examples_and_remedies(tmp_path):
    made = [picture("damaged_xml", 3)] * 2 + [picture("small_box", 4, 1)] * 3
    with pytest.raises(BadInput) as caught:
        judged(tmp_path, made, Whole(5, 40))
    text = str(caught.value)
    assert text.startswith("2 of 5 pictures and 15 of 40 boxes would be lost")
    assert "9 small_box (dropped): a.xml, line 9 (object 1): it is bad" in text and "cut the photos into tiles" in text
    assert "2 damaged_xml (dropped): a.jpg: it is bad" in text and "backup" in text


def test_losses_of_pairing_are_refused_before_a_photo_is_read(dataset, make_records, monkeypatch):
    dataset.fill(6)
    for number in range(3):
        (dataset.annotations / ("lost-%d.xml" % number)).write_text("<annotation/>")
    monkeypatch.setattr(records, "_make", None)
    for limit in (0, 2):
        with pytest.raises(BadInput, match="(?s)3 of 9 pictures would be lost.*3 no_image.*lost-0.xml"):
            make_records(accept_losses=False, limit=limit)


@pytest.mark.parametrize("doors", [{"accept_losses": True}, {"findings": {"small_box": "drop"}}])
def test_a_loss_is_gone_with_if_it_is_accepted_or_meant(dataset, make_records, doors):
    for number in range(6):
        dataset.add("%d.jpg" % number, (GOOD, TINY))
    with pytest.raises(BadInput, match="6 of 12 boxes"):
        make_records(classes=["cone"], accept_losses=False)
    done = make_records(classes=["cone"], **dict({"accept_losses": False}, **doors))
    assert done.dataset["figures"]["boxes"] == {"read": 12, "kept": 6, "dropped": 6, "background": 0}
    assert any(
        "6 of 6 pictures (6 of 12 boxes) are in the records; 6 boxes dropped: 6 small_box" in one
        for one in done.warnings
    )
    assert any(one.startswith("6 small_box (dropped): ") and "tiles" in one for one in done.warnings)


def test_a_class_whose_boxes_are_all_unusable_is_refused(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", (("mug", (0, 0, 2, 2)),))
    with pytest.raises(BadInput, match="No box of class 'mug' is left.*small_box"):
        make_records(classes=["cone", "mug"])


def test_nothing_usable_is_refused_with_the_reasons(dataset, make_records):
    dataset.add("a.jpg", data=b"x")
    dataset.add("b.jpg", data=b"y")
    with pytest.raises(
        BadInput, match=r"None of the pictures.*2 unreadable_image.*[ab]\.jpg: the file is not a readable"
    ):
        make_records(classes=["cone"])


def test_of_nothing_usable_the_example_is_what_was_lost(dataset, make_records):
    for name in ("a.jpg", "b.jpg"):
        dataset.add(name, (("cone", (150, 10, 260, 80)), ("cone", (20, 10, "x", 80))))
    with pytest.raises(BadInput, match=r"can be used: 2 unreadable_number\. For instance [ab]\.xml, .*'x'"):
        make_records(classes=["cone"])


def test_a_few_with_one_bad_picture_are_not_refused(dataset, make_records):
    dataset.fill(3)
    (dataset.photos / "photo-000.jpg").write_bytes(b"")
    assert make_records(accept_losses=False).dataset["dropped_pictures"] == 1


def test_where_nothing_is_wrong_one_quiet_line_says_so(dataset, make_records, capfd):
    dataset.fill(4)
    assert make_records(validation_fraction=0.5).warnings == []
    assert capfd.readouterr().out == "4 of 4 pictures (8 of 8 boxes) are in the records.\n"


def test_pictures_of_other_classes_only_are_background(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", (("crate", (20, 10, 120, 80)), ("crate", (120, 10, 190, 80))))
    figures = make_records(accept_losses=False).dataset["figures"]
    assert figures["pictures"] == {"read": 3, "kept": 2, "dropped": 0, "background": 1}
    assert figures["boxes"] == {"read": 6, "kept": 4, "dropped": 0, "background": 2}


def test_objects_of_dropped_and_lone_files_are_read(dataset, make_records):
    dataset.fill(2)
    dataset.add("broken.jpg", (GOOD, GOOD, GOOD))
    (dataset.photos / "broken.jpg").write_bytes(b"")
    dataset.add("lone.jpg", (GOOD, ("crate", (20, 10, 120, 80))))
    (dataset.photos / "lone.jpg").unlink()
    dataset.add("unlabelled.jpg")
    (dataset.annotations / "unlabelled.xml").unlink()
    done = make_records()
    assert done.dataset["figures"]["pictures"] == {"read": 5, "kept": 2, "dropped": 3, "background": 0}
    assert done.dataset["figures"]["boxes"] == {"read": 9, "kept": 4, "dropped": 5, "background": 0}
    assert (done.dataset["dropped"], done.dataset["dropped_pictures"]) == (5, 3)


def test_a_trial_has_the_figures_of_the_pictures_it_takes(dataset, make_records):
    dataset.fill(30)
    (dataset.annotations / "lost.xml").write_text("<annotation/>")
    done = make_records(limit=5, accept_losses=False)
    assert done.dataset["figures"]["pictures"] == {"read": 5, "kept": 5, "dropped": 0, "background": 0}
    assert done.kinds == [("no_image", "drop")]


def test_a_class_that_is_named_by_an_alias_or_in_another_form_is_there(dataset, make_records, monkeypatch):
    dataset.add("a.jpg", (("Kegel", (20, 10, 120, 80)), ("caf\u0065\u0301", (120, 10, 190, 80))))
    classes = ["cone", "caf\u00e9"]
    with pytest.raises(BadInput, match="names an object of class 'cone'"):
        make_records(classes=classes)

    def begun(*_):
        raise KeyError

    monkeypatch.setattr(records, "_make", begun)
    with pytest.raises(KeyError):
        make_records(classes=classes, aliases={"Kegel": "cone"})


def test_findings_of_a_failed_run_stay_in_the_scratch_folder(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.job.emit", lambda _: None)
    dataset.add("a.jpg", (TINY,))
    dataset.add("b.jpg", (("cone", (5, 5, 5, 5)),))
    (tmp_path / "out").mkdir()
    (tmp_path / "scratch").mkdir()
    job = {"stage": "records", "output": str(tmp_path / "out"), "scratch": str(tmp_path / "scratch"), "cpus": 1}
    job["inputs"] = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
    job["parameters"] = dict(PARAMETERS, classes=["cone"])
    with pytest.raises(BadInput, match="No box of class"):
        records.main(Job(job))
    lines = (tmp_path / "scratch" / "findings.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"small_box", "empty_box"}
    assert sorted(os.listdir(str(tmp_path / "scratch"))) == ["findings.jsonl", "records.spool"]


def test_the_dataset_s_own_split_is_in_the_records_and_test_pictures_in_files_of_their_own(
    dataset, make_records, monkeypatch
):
    dataset.fill(8)
    names = ["photo-%03d.jpg" % number for number in range(8)]
    split = dict(zip(names, ["test", "test", "validation"] + ["train"] * 5))

    def stated(mode, items, folders, image_sets, findings):
        return Split("folders", split, [pair for pair in items if pair.photo in split], ["It has its own split."])

    monkeypatch.setattr(records, "own_split", stated)
    done = make_records()
    assert {line["source_id"]: line["split"] for line in done.index} == split
    assert done.dataset["split"] == "folders" and done.dataset["splits"]["test"]["pictures"] == 2
    assert done.dataset["splits"]["test"]["shards"] == ["test-00000-of-00001.tfrecord"]
    assert all(set(one["boxes"]) == {"train", "validation", "test"} for one in done.dataset["classes"])
    assert "It has its own split." in done.warnings
    del split[names[5]]
    assert make_records().dataset["figures"]["pictures"]["dropped"] == 1
    monkeypatch.setitem(split, names[2], "test")
    assert any("no picture for validation" in warning for warning in make_records().warnings)
    split.update(dict.fromkeys(names, "test"))
    with pytest.raises(BadInput, match="no picture to train on"):
        make_records()


def test_a_split_of_the_dataset_without_validation_is_told(dataset, make_records):
    for number in range(8):
        dataset.add("%s/%d.jpg" % ("train" if number < 6 else "test", number), (GOOD,))
    done = make_records(classes=["cone"], validation_fraction=0.5)
    assert done.dataset["split"] == "folders" and done.dataset["splits"]["validation"]["pictures"]
    assert {line["source_id"] for line in done.index if line["split"] == "test"} == {"test/6.jpg", "test/7.jpg"}
    assert any("no picture for validation: some" in warning for warning in done.warnings)


PLACES = st.sampled_from([GOOD, TINY, ("crate", (5, 5, 90, 90)), ("cone", (50, 50, 50, 60)), ("cone", (90, 9, 20, 60))])
FATES = st.sampled_from(["whole", "whole", "no photo", "no xml", "empty photo", "cut xml", "copy"])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(FATES, st.lists(PLACES, max_size=4)), min_size=1, max_size=6), st.booleans())
def test_whatever_becomes_of_a_dataset_all_is_accounted_for(tmp_path_factory, monkeypatch, pictures, background):
    """Read as counted here = kept + dropped + background, and no picture is on two sides."""
    folder = tmp_path_factory.mktemp("any")
    monkeypatch.setattr("stages.job.emit", lambda _: None)
    made = Dataset(folder / "voc")
    made.add("always.jpg")
    boxes, names = 1, ["always"]
    for place, (fate, objects) in enumerate(pictures):
        name = string.ascii_lowercase[place]
        names.append(name)
        made.add(name + ".jpg", objects, data=photo(seed=0 if fate == "copy" else place + 9))
        xml = made.annotations / (name + ".xml")
        boxes += len(objects) if fate not in ("no xml", "cut xml") else 0
        if fate == "no photo":
            (made.photos / (name + ".jpg")).unlink()
        elif fate == "no xml":
            xml.unlink()
        elif fate == "empty photo":
            (made.photos / (name + ".jpg")).write_bytes(b"")
        elif fate == "cut xml":
            xml.write_bytes(xml.read_bytes()[:-9])
    (folder / "out").mkdir()
    (folder / "scratch").mkdir()
    job = {"stage": "records", "output": str(folder / "out"), "scratch": str(folder / "scratch"), "cpus": 1}
    job["inputs"] = {"photos": str(made.photos), "annotations": str(made.annotations)}
    job["parameters"] = dict(
        PARAMETERS, classes=["cone"], boxes="corners", findings={"no_xml": "fix"} if background else {}
    )
    records.main(Job(job))
    dataset = json.loads((folder / "out" / "dataset.json").read_text())
    for tally, read in (("pictures", len(names)), ("boxes", boxes)):
        figures = dataset["figures"][tally]
        assert figures["read"] == read == figures["kept"] + figures["dropped"] + figures["background"]
    index = [json.loads(line) for line in (folder / "out" / "index.jsonl").read_text().splitlines()]
    assert len({line["source_id"] for line in index}) == len(index) == dataset["images"]
    assert sum(len(line["boxes"]) for line in index) == dataset["boxes"] == dataset["figures"]["boxes"]["kept"]


def test_a_trial_s_last_line_names_what_was_found_in_its_pictures_only(dataset, make_records):
    dataset.fill(30)
    for number in range(20):
        (dataset.photos / ("lone-%d.jpg" % number)).write_bytes(photo(seed=100 + number))
    for number in range(30):
        path = dataset.annotations / ("photo-%03d.xml" % number)
        path.write_text(path.read_text().replace("ball", "tree"))
    done = make_records(limit=10, classes=["cone"])
    (told,) = [warning for warning in done.warnings if "are in the records" in warning]
    assert told == (
        "10 of 10 pictures (10 of 20 boxes) are in the records; 10 boxes of classes that are not listed"
        " (see findings.jsonl)."
    )
    assert done.dataset["finding_counts"] == {"no_xml": 20, "unknown_class": 10}
