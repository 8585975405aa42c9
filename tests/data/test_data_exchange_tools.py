"""Files that the tools' own libraries write come out as VOC with the same objects; and they read what `to-coco` writes.

NANOFORGE_EXCHANGE names the folder of these libraries (tests/requirements-exchange.lock), which `./run test --all`
installs; they are asked in a process of their own, by the host's Python.
"""

import json
import math
import os
import subprocess
from pathlib import Path

import pytest
from data_voc import photo
from exchange_datasets import Source

from stages.data.exchange import to_coco, voc_xml
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture, TurnedBox

PACKAGES, PYTHON = os.environ.get("NANOFORGE_EXCHANGE", ""), os.environ.get("NANOFORGE_HOST_PYTHON", "")
PROGRAM = Path(__file__).with_name("exchange_tools.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PACKAGES or not PYTHON, reason="NANOFORGE_EXCHANGE names no libraries: `./run test --all` installs them"
    ),
]
CLASSES = ["cone", "big ball", "표지판"]
BOXES = [("cone", (10.25, 20.5, 60.75, 90.125)), ("표지판", (0, 0, 200, 100)), ("big ball", (150, 3, 151.5, 99))]
OUTLINE = ("cone", (20.5, 10, 80, 60.25))
POLYGON = [20.5, 10, 80, 12, 70, 60.25, 30, 50]


def described(extra=()):
    """Three pictures, one of them without objects; on the first also what is ``extra``."""
    objects = [{"label": name, "box": box} for name, box in BOXES]
    pictures = [
        {"name": "a.jpg", "side": "train", "objects": [*objects, *extra]},
        {"name": "b.jpg", "side": "val", "objects": objects[:1]},
        {"name": "c.jpg", "side": "train", "objects": []},
    ]
    return {"classes": CLASSES, "pictures": [dict(picture, size=[200, 100]) for picture in pictures]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        (tmp_path / "photos" / (name + ".jpg")).write_bytes(photo(seed=seed))
    return tmp_path


@pytest.fixture
def tool(folder):
    """Let a library do something in the folder; the JSON that it prints, if it does."""

    def do(what, dataset):
        done = subprocess.run(
            [PYTHON, str(PROGRAM), what, str(folder)],
            input=json.dumps(dataset),
            capture_output=True,
            encoding="utf-8",
            env={"PYTHONPATH": PACKAGES, "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        last = done.stdout.strip().rpartition("\n")[2]
        return json.loads(last) if last.startswith("{") else None

    return do


@pytest.fixture
def source(folder, run):
    there = Source(folder / "unused", run)
    there.folder = folder
    return there


def by_photo(made, tolerance):
    """The objects of each photo by its name, boxes to be compared with a tolerance in pixels."""
    return {
        os.path.basename(name)[:1]: [
            (label, box and pytest.approx(box, abs=tolerance)) for label, box in made.boxes(name)
        ]
        for name in made.files
    }


WHOLE = {"a": BOXES, "b": BOXES[:1], "c": []}


@pytest.mark.parametrize(
    "what, photos, tolerance",
    [
        ("supervision-coco", "photos", 1e-4),  # it computes with float32
        ("supervision-yolo", "made", 2e-3),  # five digits of a share
        ("coco_instances", "made", 0.006),  # datumaro rounds to hundredths
        ("yolo", "made", 0.006),
        ("yolo_ultralytics", "made", 0.006),
        ("cvat", "made", 0.006),
    ],
)
def test_datasets_of_the_tools_own_libraries(tool, source, what, photos, tolerance):
    tool(what, described())
    made = source.read("made", photos=photos)
    assert by_photo(made, tolerance) == WHOLE
    assert set(made.kinds) <= {"supercategory"}
    if not what.startswith("supervision"):
        names = {side: [os.path.basename(one) for one in lines] for side, lines in made.lists().items()}
        assert names == {"train": ["a", "c"], "val": ["b"]}


@pytest.mark.parametrize("what", ["coco_instances", "cvat"])
def test_outlines_of_datumaro(tool, source, what):
    tool(what, described([{"label": OUTLINE[0], "polygon": POLYGON, "box": OUTLINE[1]}]))
    made = source.read("made", photos="made")
    name = next(name for name in made.files if name.endswith("a.xml"))
    assert made.boxes(name)[-1] == (OUTLINE[0], pytest.approx(OUTLINE[1], abs=0.01))
    assert [float(one.text) for one in made.root(name).find("object/polygon")] == pytest.approx(POLYGON, abs=0.01)
    assert [one.text for one in made.root(name).iter("occluded")] == ["1"] * 4


def test_turned_boxes_of_cvat(tool, source):
    tool("cvat", described([{"label": "cone", "box": [50, 20, 90, 40], "degrees": 30}]))
    made = source.read("made", photos="made")
    turned = made.root(next(name for name in made.files if name.endswith("a.xml"))).find("object/robndbox")
    assert [float(one.text) for one in turned] == pytest.approx([70, 30, 40, 20, math.radians(30)], abs=0.01)


def regions(boxes):
    """A task of Label Studio with these rectangles: label, x, y, width, height in pixels of 200 x 100, degrees."""
    result = []
    for number, (label, x, y, width, height, degrees) in enumerate(boxes):
        value = {"x": x / 2, "y": y, "width": width / 2, "height": height, "rotation": degrees}
        told = {"id": "r%d" % number, "from_name": "label", "to_name": "image", "type": "rectanglelabels"}
        value["rectanglelabels"] = [label]
        result.append(dict(told, value=value, original_width=200, original_height=100, image_rotation=0))
    annotation = {"id": 1, "created_at": "2024-01-01T00:00:00Z", "was_cancelled": False, "result": result}
    return [{"id": 7, "data": {"image": "/data/upload/1/00000000-a.jpg"}, "annotations": [annotation]}]


def test_label_studio_as_its_own_converter_reads_it(tool, source, folder):
    """Boxes that are not turned, by its COCO; corners of turned ones, by its YOLO with oriented boxes."""
    straight = [("cone", 10.25, 20.5, 50.5, 69.625, 0), ("big ball", 150, 3, 1.5, 96, 0)]
    turned = [("cone", 100, 50, 40, 20, 30), ("표지판", 60, 10, 20, 40, 290)]
    for boxes, corners in ((straight, False), (turned, True)):
        source.write("export.json", regions(boxes))
        tool("label-studio", {"classes": CLASSES, "pictures": []})
        own = source.read("export.json", photos="photos")
        if not corners:
            theirs = source.read("coco", photos="photos")
            assert own.boxes("a.xml") == [(name, pytest.approx(box)) for name, box in theirs.boxes("a.xml")]
            continue
        objects = list(source.read("obb", photos="photos").root("a.xml").iter("object"))
        assert [one.findtext("name") for one in objects] == [one[0] for one in turned]
        for mine, their in zip(own.root("a.xml").iter("robndbox"), objects):
            box = TurnedBox(*[float(one.text) for one in mine])
            assert box.corners() == pytest.approx([float(one.text) for one in their.find("polygon")], abs=1e-3)


@pytest.fixture
def as_coco(folder, run):
    """`to-coco` of pictures; its file is put where the tools look for it."""

    def write(*pictures):
        (folder / "Annotations").mkdir()
        for picture in pictures:
            path = folder / "Annotations" / (picture.photo[:-4] + ".xml")
            path.write_bytes(voc_xml.annotation(picture))
        inputs = {"photos": str(folder / "photos"), "annotations": str(folder / "Annotations")}
        options = {"classes": CLASSES, "aliases": {}, "boxes": "auto", "sizes": "xml", "split": "hash", "findings": {}}
        written = run(to_coco.main, inputs, options).folder / "instances.json"
        for path in (folder / "instances.json", folder / "as-coco" / "annotations" / "instances_default.json"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written.read_bytes())

    return write


def alike(one, other):
    """Whether two labelled boxes are the same but for rounding."""
    return one[0] == other[0] and one[1] == pytest.approx(other[1], abs=0.01)


def test_the_tools_read_what_to_coco_writes(tool, as_coco):
    objects = [ExchangeObject(name, box) for name, box in BOXES]
    turned = TurnedBox(70, 30, 40, 20, math.radians(30))
    outline = ExchangeObject("cone", OUTLINE[1], [POLYGON], difficult=True, attributes=(("colour", "red"),))
    whole = [*objects, outline, ExchangeObject("cone", turned.enclosing(), turned=turned)]
    as_coco(ExchangePicture("a.jpg", (200, 100), whole), ExchangePicture("c.jpg", (200, 100), []))
    boxes = [[one.name, pytest.approx(list(one.box), abs=0.01)] for one in whole]
    assert tool("supervision-reads", {}) == {"a.jpg": boxes, "c.jpg": []}
    found = tool("datumaro-reads", {})
    # Of an object with an outline datumaro makes two: its outline and its box.
    sided = [[one.name, [x, y, right - x, low - y]] for one in whole for x, y, right, low in [one.box]]
    assert found["c"] == [] and len(found["a"]) == len(whole) + 2
    for some, others in ((sided, found["a"]), (found["a"], sided)):
        assert all(any(alike(one, other) for other in others) for one in some)
    judged = tool("pycocotools", {})
    assert judged["mAP"] == pytest.approx(1.0)
    assert judged["masks"] == [pytest.approx(2196.75, rel=0.05), pytest.approx(800, rel=0.05)]
