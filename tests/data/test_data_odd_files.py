"""What folders hold besides plain photos: odd names, pipes, links, what is gone, what is too large."""

import json
import os

import pytest
from data_voc import photo
from lxml import etree

from stages.data import resize, survey
from stages.data.pairing import pairing
from stages.job import BadInput
from stages.parameters import ResizeParameters

CP949 = b"\xb0\xed\xbe\xe7\xc0\xcc"  # 고양이, as a zip from Windows has it
NAME = os.fsdecode(CP949)


@pytest.fixture
def make_smaller(dataset, run):
    def start(max_megapixels=100):
        inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
        return run(resize.main, inputs, ResizeParameters(max_megapixels, "auto", "xml", 100, 90, 0)._asdict())

    return start


@pytest.fixture
def named(dataset):
    """A dataset with a photo, a folder and a lonely photo whose names are not UTF-8."""
    dataset.fill(3)
    dataset.add("a.jpg", (("cone", (20, 10, 120, 80)),))
    for folder, suffix in ((dataset.photos, "jpg"), (dataset.annotations, "xml")):
        (folder / NAME).mkdir()
        (folder / f"a.{suffix}").rename(folder / NAME / f"{NAME}.{suffix}")
    (dataset.photos / f"lonely-{NAME}.jpg").write_bytes(photo())
    return dataset


@pytest.mark.parametrize("cpus", [1, 2])
def test_records_keep_the_bytes_of_a_name(named, make_records, cpus):
    done = make_records(cpus)
    source_id = f"{NAME}/{NAME}.jpg"
    assert source_id in [line["source_id"] for line in done.index]
    features = done.features(source_id)
    assert (features["image/source_id"], features["image/filename"]) == (
        [CP949 + b"/" + CP949 + b".jpg"],
        [CP949 + b".jpg"],
    )
    assert f"lonely-{NAME}.jpg" in [finding["file"] for finding in done.findings if finding["kind"] == "no_xml"]
    for name, content in done.bytes().items():
        if not name.endswith(".tfrecord"):
            content.decode("utf-8")


def test_a_smaller_dataset_has_names_that_every_program_reads(named, make_smaller):
    done = make_smaller()
    shown = "\\xb0\\xed\\xbe\\xe7\\xc0\\xcc"
    assert f"JPEGImages/{shown}/{shown}.jpg" in done.bytes()
    xml = etree.fromstring(done.bytes()[f"Annotations/{shown}/{shown}.xml"])
    assert xml.findtext("filename") == f"{shown}.jpg"
    [json.loads(line) for line in done.bytes()["findings.jsonl"].decode("utf-8").splitlines()]


def test_a_survey_counts_such_names(named, run):
    done = run(
        survey.main, {"photos": str(named.photos), "annotations": str(named.annotations)}, {"image_size": [64, 96]}
    )
    counted = json.loads((done.folder / "survey.json").read_text(encoding="utf-8"))
    assert (counted["pictures"], counted["annotations"], counted["problems"]["no_xml"]["count"]) == (5, 4, 1)


def test_a_failing_finding_names_such_a_file(named, make_records):
    with pytest.raises(BadInput) as refused:
        make_records(findings={"no_xml": "fail"})
    assert NAME in str(refused.value)


def replaced_by(make):
    def change(path):
        path.unlink()
        make(str(path))

    return change


GONE = {
    "gone": lambda path: path.unlink(),
    "pipe": replaced_by(os.mkfifo),
    "device": replaced_by(lambda path: os.symlink("/dev/zero", path)),
    "folder": replaced_by(os.mkdir),
}


@pytest.mark.parametrize("becomes", GONE)
@pytest.mark.parametrize(
    ("which", "kind"), [("JPEGImages/a.jpg", "unreadable_image"), ("Annotations/a.xml", "damaged_xml")]
)
def test_what_is_no_file_any_more_when_it_is_read_is_one_finding(
    dataset, make_records, make_smaller, monkeypatch, becomes, which, kind
):
    dataset.fill(3).add("a.jpg")
    real = pairing.pairs

    def pairs_and_then(*arguments):
        found = real(*arguments)
        path = dataset.photos.parent / which
        GONE[becomes](path) if path.is_file() else None
        return found

    for stage in ("records", "resize"):
        monkeypatch.setattr(f"stages.data.{stage}.pairs", pairs_and_then)
    done = make_records()
    assert done.kinds == [(kind, "drop")] and len(done.index) == 3
    assert "cannot be read: " in done.findings[0]["message"]


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink(path, path)]
)
def test_what_is_no_file_in_a_dataset_is_not_there_for_the_stages(dataset, make_records, make_smaller, make):
    dataset.fill(3)
    for path in (dataset.photos / "pipe.jpg", dataset.annotations / "pipe.xml"):
        make(path)
    assert make_records().findings == make_smaller().findings == []


def test_linked_folders_are_read_and_loops_are_not_followed(dataset, tmp_path, make_records):
    dataset.fill(3)
    for folder in (dataset.photos, dataset.annotations):
        folder.rename(tmp_path / folder.name)
        folder.mkdir()
        (folder / "linked").symlink_to(tmp_path / folder.name)
        (folder / "linked" / "loop").symlink_to("../" + folder.name)
    done = make_records()
    assert sorted(line["source_id"] for line in done.index) == [f"linked/photo-{number:03}.jpg" for number in range(3)]


def test_too_large_a_photo_is_a_finding_with_its_key(dataset, make_records, make_smaller):
    dataset.fill(3).add("large.jpg", size=(1001, 1000))
    for done in (make_records(max_megapixels=1), make_smaller(max_megapixels=1)):
        (finding,) = done.findings
        assert (finding["kind"], finding["file"], finding["action"]) == ("large_image", "large.jpg", "drop")
        assert "1001 x 1000" in finding["message"] and "dataset.max_megapixels" in finding["message"]
    assert make_records().findings == []
    with pytest.raises(BadInput, match=r"records.findings.large_image.*large.jpg: it has 1001 x 1000 "):
        make_records(max_megapixels=1, findings={"large_image": "fail"})


def test_xml_of_gigabytes_is_a_finding_and_not_read(dataset, make_records):
    dataset.fill(3).add("a.jpg")
    os.truncate(dataset.annotations / "a.xml", 50 << 30)  # a hole: it takes no room on the disk
    (finding,) = make_records().findings
    assert (finding["kind"], finding["file"]) == ("damaged_xml", "a.xml")
    assert "it has 53687091200 bytes, more than the 16777216" in finding["message"]


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<x/>", r"2 damaged_xml: photo-00\d.xml, line 1: .*its root is <x>, .*from a backup"),
        ("<annotation/>", r"2 no_objects: photo-00\d.xml: it has no <object>"),
        (
            "<annotation><object><class>cone</class></object></annotation>",
            r"2 no_class: .*\(object 1\): it has no <name>",
        ),
    ],
)
def test_why_no_xml_names_a_class(dataset, make_records, xml, words):
    dataset.fill(2)
    for path in dataset.annotations.iterdir():
        path.write_text(xml)
    with pytest.raises(BadInput, match=r"They name: nothing\.\n  " + words):
        make_records()


def test_the_same_photo_with_other_objects_is_told(dataset, make_records):
    one, other, alike = (("cone", (20, 10, 120, 80)),), (("ball", (130, 40, 190, 90)),), photo(seed=9)
    for folder, objects in (("ball", other), ("cone", one), ("copy", one)):
        dataset.add("%s/a.jpg" % folder, objects, data=alike)
    told = [warning for warning in make_records().warnings if "with other objects" in warning]
    assert len(told) == 1 and told[0].startswith("2 photos are there once more") and "ball/a.jpg" in told[0]
    for name in ("ball/a", "cone/a"):
        (dataset.photos / (name + ".jpg")).unlink()
        (dataset.annotations / (name + ".xml")).unlink()
    dataset.add("same/a.jpg", one, data=alike)
    dataset.add("again/a.jpg", (("cone", (28, 6, 114, 72)),), data=alike)  # labelled twice, not the same to the pixel
    dataset.add("other.jpg", other)
    assert not [warning for warning in make_records().warnings if "with other objects" in warning]
