"""Which format a dataset is in is told by its files; where they do not tell, a sentence has the candidates."""

import pytest
from data_voc import photo
from exchange_datasets import Source, coco, image

from stages.job import BadInput


@pytest.fixture
def source(tmp_path, run):
    source = Source(tmp_path / "dataset", run)
    source.photo("a.jpg")
    return source


COCO = coco([image(1, "a.jpg")], [])
CVAT = '<annotations><version>1.1</version><image id="0" name="a.jpg" width="200" height="100"/></annotations>'
TASK = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": []}]}]
CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,200,100,cone,1,2,3,4\n"


@pytest.mark.parametrize(
    "files, title",
    [
        ({"c.json": COCO}, "COCO JSON"),
        ({"data.yaml": "names: [cone]\n", "a.txt": ""}, "YOLO"),
        ({"classes.txt": "cone\n", "a.txt": "", "notes.json": {"categories": [{"id": 0, "name": "cone"}]}}, "YOLO"),
        ({"annotations.xml": CVAT}, "CVAT for images 1.1"),
        ({"project-1.json": TASK}, "Label Studio JSON"),
        ({"_annotations.csv": CSV}, "Tensorflow Object Detection CSV"),
    ],
)
def test_the_format_is_told_by_the_files(source, files, title):
    for name, content in files.items():
        source.write(name, content)
    made = source.read()
    assert made.files == ["a.xml"] and made.metrics["format"] == title


@pytest.mark.parametrize(
    "files, words",
    [
        ({}, "is in none of the formats COCO JSON, YOLO, .*: there is a.jpg"),
        ({"c.json": COCO, "annotations.xml": CVAT}, r"COCO JSON \(c.json\) and CVAT .*--from coco or --from cvat"),
        ({"a.xml": "<annotation/>"}, "holds PASCAL VOC XML, which is read as it is: `./run init "),
        ({"list.json": [1, 2]}, "is in none of the formats"),
        ({"r.json": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]}, "in none of the formats"),
        ({"README.txt": "0 0.5 0.5 0.1 0.1", "b.json": b"\xff\xff"}, "is in none of the formats"),
        ({"a.txt": "0 0.5 0.5 0.1 0.1\n"}, "tells no names of its classes"),
    ],
)
def test_what_is_unclear_is_asked_back(source, files, words):
    for name, content in files.items():
        source.write(name, content)
    with pytest.raises(BadInput, match=words):
        source.read()


def test_a_format_that_is_not_there_is_refused(source):
    with pytest.raises(BadInput, match="--from voc: the formats are coco, yolo, cvat, label-studio, csv"):
        source.read(source_format="voc")


def test_of_two_formats_one_can_be_named(source):
    source.write("c.json", COCO)
    source.write("annotations.xml", CVAT)
    assert source.read(source_format="cvat").metrics["format"] == "CVAT for images 1.1"


def test_without_photos_nothing_is_made(tmp_path, run):
    source = Source(tmp_path / "empty", run)
    source.write("c.json", COCO)
    with pytest.raises(BadInput, match="There is no photo in .*--photos"):
        source.read()


def test_csv_of_roboflow(source):
    lines = CSV + 'a.jpg,200,100,"big, red",1.5,2,x,4\na.jpg,200,100,,5,6,7,8\ngone.jpg,1,1,cone,1,2,3,4\n'
    source.write("train/b.jpg", photo())
    source.write("train/_annotations.csv", "\ufeff" + lines.replace("\n", "\r\n").replace("a.jpg", "b.jpg"))
    made = source.read()
    assert made.boxes("train/b.xml") == [("cone", (1, 2, 3, 4)), ("big, red", None), ("", (5, 6, 7, 8))]
    assert made.kinds == ["unreadable_number", "no_class", "no_photo"]
    assert made.lists() == {"train": ["train/b"]}


def test_csv_lines_of_more_fields_than_columns_have_no_box(source):
    """As those with a comma for a point: 1,5 and 2,5 are not the edges 1, 5, 2 and 5."""
    source.photo("a.jpg")
    source.write("x.csv", CSV.splitlines()[0] + "\na.jpg,200,100,cone,1,5,2,5,3,5,4,5\n")
    made = source.read()
    assert made.boxes("a.xml") == [("cone", None)] and made.kinds == ["unreadable_number"]
