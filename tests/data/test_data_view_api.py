"""What the viewer's page asks: pictures, in a selection and an order, with what was found and detected in them."""

import csv
import io
import json
import threading
import time
import unicodedata

import cv2
import numpy as np
import pytest
from data_view import asked, client, jpeg, shown, write_artifact, write_records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.picture_id import picture_id
from stages.view import export
from stages.view.matching import Detected, Labelled, iou, match
from stages.view.selection import PictureSelection

BOX = (0.1, 0.2, 0.5, 0.8, "cat")
PICTURES = [
    {"name": "a/IMG_1.jpg", "split": "train", "boxes": [BOX, (0.5, 0.5, 0.6, 0.6, "dog")], "truncated": [0, 1]},
    {"name": "a/IMG_2.jpg", "split": "train", "boxes": []},
    {"name": "b/img_3.jpg", "split": "validation", "boxes": [BOX], "difficult": [1]},
]
FINDINGS = [
    {"kind": "outside_box", "file": "a/IMG_1.xml", "object": 2, "line": 7, "message": "it is outside", "action": "fix"},
    {"kind": "no_xml", "file": "lost.jpg", "object": None, "line": None, "message": "no XML", "action": "drop"},
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return shown(folder, write_records(folder / "records", PICTURES, findings=FINDINGS))


def names(made, query=""):
    return [one["name"] for one in asked(made, "/api/pictures?" + query)["items"]]


def test_the_dataset_is_told_whole(made):
    told = asked(made, "/api/dataset")
    assert told["sources"] == [{"id": "things", "kind": "records", "title": "things", "pictures": 3, "boxes": 3}]
    assert [(one["name"], one["boxes"]) for one in told["classes"]] == [("cat", 2), ("dog", 1)]
    assert told["splits"] == [{"name": "train", "pictures": 2}, {"name": "validation", "pictures": 1}]
    assert {one["kind"]: (one["count"], one["pictures"]) for one in told["findings"]} == {
        "outside_box": (1, 1),
        "no_xml": (1, 0),
    }
    assert told["indexing"] is None and told["warnings"] == [] and told["runs"] == [] and told["live"] is False


def test_a_picture_is_told_with_boxes_flags_and_findings(made):
    first = asked(made, "/api/pictures")["items"][0]
    assert (first["id"], first["split"]) == (picture_id("a/IMG_1.jpg"), "train")
    assert (first["width"], first["height"]) == (40, 30) and first["findings"] == ["outside_box"]
    cat, dog = first["boxes"]
    assert cat["box"] == pytest.approx(BOX[:4]) and (cat["class"], cat["truncated"]) == ("cat", False)
    assert (dog["class"], dog["truncated"], dog["difficult"]) == ("dog", True, False)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("class=dog", "1"),
        ("class=cat", "13"),
        ("class=dog&class=cat", "13"),
        ("class=bird", ""),
        ("split=validation", "3"),
        ("finding=any", "1"),
        ("finding=outside_box", "1"),
        ("finding=no_xml", ""),
        ("name=img_2", "2"),
        ("name=A/", "12"),
        ("name=%25", ""),
        ("size=small", "13"),
        ("size=large", ""),
        ("truncated=1", "1"),
        ("truncated=1&class=cat", ""),
        ("difficult=1&class=cat", "3"),
        ("empty=1", "2"),
        ("boxes_min=1&boxes_max=1", "3"),
        ("sort=boxes", "132"),
        ("sort=smallest", "132"),
        ("sort=name", "123"),
        ("offset=1&limit=1", "2"),
        ("offset=9", ""),
        ("limit=0", ""),
    ],
)
def test_filters_and_orders(made, query, found):
    assert "".join(name[-5] for name in names(made, query)) == found


@pytest.mark.parametrize(
    "query",
    ["size=huge", "sort=best", "sort=worst", "run=none", "source=none", "offset=-1", "limit=x", "boxes_min=1e9"]
    + ["offset=" + "9" * 30, "offset=" + "0" * 20 + "9" * 5000, "offset=٣"],
)
def test_what_means_nothing_is_a_sentence(made, query):
    answer = client(made).get("/api/pictures?" + query)
    assert answer.status_code == 400 and answer.json()["error"].endswith(".")


def test_the_details_of_a_picture(made):
    told = asked(made, "/api/picture/%s?class=cat" % picture_id("a/IMG_1.jpg"))
    assert told["findings"] == [
        {
            "kind": "outside_box",
            "file": "a/IMG_1.xml",
            "message": "it is outside",
            "line": 7,
            "object": 2,
            "action": "fix",
        }
    ]
    assert told["previous"] is None and told["next"] == {"id": picture_id("b/img_3.jpg"), "source": "things"}
    assert (told["position"], told["total"], told["problem"], told["format"]) == (0, 2, None, "jpeg")
    assert told["file"] == "train-00000-of-00001.tfrecord" and told["features"]["image/source_id"] == "a/IMG_1.jpg"
    outside = asked(made, "/api/picture/%s?class=cat" % picture_id("a/IMG_2.jpg"))
    assert outside["position"] is None and outside["previous"]["id"] == picture_id("a/IMG_1.jpg")
    assert client(made).get("/api/picture/0123456789abcdef").status_code == 404


def test_pictures_are_served_as_they_are_and_small(made):
    address = "/image/" + picture_id("a/IMG_1.jpg")
    full = client(made).get(address)
    assert (full.content, full.headers["content-type"]) == (jpeg(40, 30, 20), "image/jpeg")
    assert "immutable" in full.headers["cache-control"]
    thumb = client(made).get(address + "?size=thumb")
    assert cv2.imdecode(np.frombuffer(thumb.content, np.uint8), 1).shape == (30, 40, 3)
    assert client(made).get("/image/none").status_code == 404


def test_a_selection_is_exported(made):
    assert client(made).get("/api/export?class=cat").text == "a/IMG_1.jpg\nb/img_3.jpg\n"
    rows = list(csv.DictReader(io.StringIO(client(made).get("/api/export?format=csv").text)))
    assert [(row["name"], row["class"]) for row in rows][:3] == [
        ("a/IMG_1.jpg", "cat"),
        ("a/IMG_1.jpg", "dog"),
        ("a/IMG_2.jpg", ""),
    ]
    assert [float(rows[0][edge]) for edge in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx([4, 6, 20, 24])
    answer = client(made).get("/api/export?format=json&sort=boxes")
    assert answer.json() == asked(made, "/api/pictures?sort=boxes")["items"]
    assert "attachment" in answer.headers["content-disposition"]
    assert client(made).get("/api/export?format=json&class=bird").json() == []
    assert client(made).get("/api/export?format=exe").status_code == 400


def test_an_export_that_comes_in_pieces_goes_on_in_any_thread(tmp_path):
    """The server has a few threads, of which one after the other makes the next piece."""
    pictures = [{"name": "%04d.jpg" % number, "split": "train", "boxes": []} for number in range(2500)]
    made = shown(tmp_path, write_records(tmp_path / "records", pictures))
    pieces, found = export.lines(made, PictureSelection(), "txt"), []
    while not found or found[-1]:
        thread = threading.Thread(target=lambda: found.append(next(pieces, "")))
        thread.start()
        thread.join()
    assert len(found) == 4 and "".join(found).split() == [one["name"] for one in pictures]


def test_a_name_is_found_however_its_accents_are_written(tmp_path):
    names = [unicodedata.normalize(form, "Caf\u00e9 \ud55c\uad6d.jpg") for form in ("NFC", "NFD")]
    pictures = [{"name": name, "split": "train", "boxes": []} for name in names]
    made = shown(tmp_path, write_records(tmp_path / "records", pictures))
    for asked_for in ("CAF\u00c9", "cafe\u0301", "\ud55c\uad6d", unicodedata.normalize("NFD", "\ud55c")):
        assert asked(made, "/api/pictures?name=" + asked_for)["total"] == 2
    assert asked(made, "/api/pictures?name=cafe.")["total"] == 0


def test_a_spreadsheet_computes_no_name(tmp_path):
    pictures = [{"name": '=HYPERLINK("x")\n.jpg', "split": "train", "boxes": []}]
    made = shown(tmp_path, write_records(tmp_path / "records", pictures))
    assert client(made).get("/api/export").text == '=HYPERLINK("x") .jpg\n'
    (row,) = csv.DictReader(io.StringIO(client(made).get("/api/export?format=csv").text))
    assert row["name"].startswith("'=")


def test_a_name_that_is_no_text_and_one_that_comes_twice(tmp_path):
    odd = b"a\xff<b>.jpg".decode("utf-8", "surrogateescape")
    pictures = [{"name": name, "split": "train", "boxes": []} for name in (odd, "same.jpg", "same.jpg", "x" * 3000)]
    made = shown(tmp_path, write_records(tmp_path / "records", pictures))
    items = asked(made, "/api/pictures")["items"]
    assert [one["name"] for one in items] == ["a\\xff<b>.jpg", "same.jpg", "same.jpg", "x" * 3000]
    assert [one["id"] for one in items[:3]] == [picture_id(odd), picture_id("same.jpg"), picture_id("same.jpg\0" + "1")]
    pictures = [client(made).get("/image/" + one["id"]).content for one in items]
    assert pictures == [jpeg(40, 30, 20 + number) for number in range(4)]


BOXES = st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 1.0])] * 2, st.sampled_from(["cat", "dog"])).map(
    lambda one: (0.0, 0.0, max(one[0], 0.01), max(one[1], 0.01), one[2])
)
PICTURE = st.fixed_dictionaries(
    {
        "name": st.text("aAbÄ%_'", min_size=1, max_size=4),
        "split": st.sampled_from(["train", "validation"]),
        "boxes": st.lists(BOXES, max_size=3),
        "truncated": st.lists(st.booleans(), min_size=3, max_size=3),
    }
)
QUERY = st.fixed_dictionaries(
    {},
    optional={
        "class": st.lists(st.sampled_from(["cat", "dog", "bird"]), min_size=1, max_size=2),
        "split": st.sampled_from(["train", "validation"]),
        "name": st.text("aÄ%_'", max_size=2),
        "size": st.lists(st.sampled_from(["small", "medium", "large"]), min_size=1, max_size=2),
        "truncated": st.just("1"),
        "empty": st.just("1"),
        "boxes_min": st.integers(0, 3),
        "boxes_max": st.integers(0, 3),
        "sort": st.sampled_from(["order", "name", "boxes", "smallest"]),
    },
)
SIZE = (200, 100)


def area(box):
    return box[2] * box[3] * SIZE[0] * SIZE[1]


def expected(pictures, query):
    """The same by plain Python: names of the pictures that are asked for, in order."""

    def fits(box, truncated):
        size = "small" if area(box) < 1024 else "medium" if area(box) < 9216 else "large"
        return (
            box[4] in query.get("class", [box[4]])
            and size in query.get("size", [size])
            and (truncated or "truncated" not in query)
        )

    of_boxes = {"class", "size", "truncated"} & set(query)
    found = [
        one
        for one in pictures
        if one["split"] == query.get("split", one["split"])
        and query.get("name", "").casefold() in one["name"].casefold()
        and not ("empty" in query and one["boxes"])
        and query.get("boxes_min", 0) <= len(one["boxes"]) <= query.get("boxes_max", 9)
        and (not of_boxes or any(map(fits, one["boxes"], one["truncated"])))
    ]
    order = {
        "name": lambda one: one["name"].casefold(),
        "boxes": lambda one: -len(one["boxes"]),
        "smallest": lambda one: min(map(area, one["boxes"]), default=1e18),
    }.get(query.get("sort"), lambda one: 0)
    return [one["name"] for one in sorted(found, key=order)]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PICTURE, max_size=8), st.lists(QUERY, min_size=4, max_size=8))
def test_selections_are_those_of_brute_force(tmp_path_factory, pictures, queries):
    folder = tmp_path_factory.mktemp("drawn")
    told = [dict(one, truncated=one["truncated"][: len(one["boxes"])]) for one in pictures]
    told.sort(key=lambda one: one["split"])
    made = shown(folder, write_records(folder / "records", told, size=SIZE))
    for query in queries:
        answer = client(made).get("/api/pictures", params=query).json()
        assert [one["name"] for one in answer["items"]] == expected(told, query), query
        assert answer["total"] == len(answer["items"])
        assert answer["boxes"] == sum(len(one["boxes"]) for one in answer["items"])
        for place, one in enumerate(answer["items"]):
            details = client(made).get("/api/picture/" + one["id"], params=query).json()
            around = [
                answer["items"][other]["id"] if 0 <= other < len(answer["items"]) else None
                for other in (place - 1, place + 1)
            ]
            assert [details[way] and details[way]["id"] for way in ("previous", "next")] == around
            assert details["position"] == place


DETECTIONS = {
    "model": {"pictures": ["no list of pictures"]},
    "pictures": [
        {
            "file": "b/img_3.jpg",
            "width": 400,
            "height": 300,
            "detections": [
                {"class": "cat", "class_id": 1, "score": 0.9, "box": [40, 60, 200, 240]},
                {"class": "dog", "class_id": 2, "score": 0.4, "box": [40, 60, 200, 240]},
            ],
        },
        {"file": "a/IMG_1.jpg", "width": 400, "height": 300, "detections": []},
        {"file": "unknown.jpg", "width": 4, "height": 3, "detections": []},
    ],
    "score_threshold": 0.05,
}


def of_project(folder):
    """A project with records and one evaluation on them, and one on others."""
    build = folder / "build"
    records = write_artifact(build, "records", "r1", {})
    write_records(records, PICTURES)
    files = {"detections.json": json.dumps(DETECTIONS, indent=1)}
    metrics = {"step": 900, "mAP": 0.5}
    write_artifact(build, "evaluate", "e2", files, {"records": "other"}, metrics={"step": 7})
    write_artifact(
        build, "evaluate", "e1", files, {"records": "r1"}, metrics=metrics, parameters={"checkpoint": "best"}
    )
    return shown(folder, build / "records", build=build, title="records")


def runs_of(made):
    for _ in range(200):
        told = asked(made, "/api/dataset")
        if told["runs"] or told["warnings"]:
            return told
        time.sleep(0.02)
    raise AssertionError("no run is ready")


def test_detections_are_shown_beside_the_truth_the_worst_first(tmp_path):
    made = of_project(tmp_path)
    (run,) = runs_of(made)["runs"]
    assert (run["title"], run["source"], run["mAP"], run["threshold"]) == (
        "evaluation of step 900 (best)",
        "records",
        0.5,
        0.05,
    )
    worst = asked(made, "/api/pictures?sort=worst&run=" + run["id"])["items"]
    assert [one["name"] for one in worst] == ["a/IMG_1.jpg", "b/img_3.jpg"]
    missing, found = worst
    assert (missing["missed"], missing["detections"], missing["badness"]) == ([0, 1], [], 2)
    assert found["missed"] == [] and found["badness"] == pytest.approx(0.4)  # the cat that is found is a difficult one
    cat, dog = found["detections"]
    assert (cat["matched"], cat["truth"], dog["matched"], dog["truth"]) == (True, 0, False, None)
    assert cat["box"] == pytest.approx(BOX[:4])
    plain = asked(made, "/api/pictures?run=" + run["id"])["items"]
    assert len(plain) == 3 and plain[1]["badness"] is None
    exported = client(made).get("/api/export?format=csv&run=" + run["id"]).text
    assert "dog,40.00" not in exported and ",0.9,1\n" in exported


@pytest.mark.parametrize("damage", ['{"file": "a"', '{"file": ' + "[" * 100000], ids=["cut", "deep"])
def test_damaged_detections_are_a_sentence_and_no_run(tmp_path, damage):
    made = of_project(tmp_path)
    for path in (tmp_path / "build" / "store" / "evaluate").glob("*/detections.json"):
        path.write_text('{"pictures": [' + damage)
    told = runs_of(made)
    assert told["runs"] == [] and "evaluation of step 900 (best) cannot be shown" in told["warnings"][0]


EDGE = st.integers(0, 8).map(lambda one: one / 8)
CORNERS = st.tuples(EDGE, EDGE, EDGE, EDGE)


@given(
    st.lists(st.tuples(CORNERS, st.sampled_from("ab"), st.integers(1, 99)), max_size=5),
    st.lists(st.builds(Labelled, CORNERS, st.sampled_from("ab"), st.booleans()), max_size=4),
)
def test_a_match_is_one_to_one_within_a_class_and_costs_what_it_says(found, truth):
    detections = [Detected(edges, label, score / 100) for edges, label, score in found]
    told = match(detections, truth)
    taken = [one for one in told.truth if one is not None]
    asked_for = {place for place, one in enumerate(truth) if not one.difficult}
    assert len(set(taken)) == len(taken) and set(told.missed) == asked_for - set(taken)
    cost = float(len(told.missed))
    for detection, place in zip(detections, told.truth):
        if place is None:
            cost += detection.score
        else:
            overlap = iou(detection.edges, truth[place].edges)
            assert truth[place].label == detection.label and overlap >= 0.5
            cost += (1 - detection.score * overlap) * (place in asked_for)
    assert told.badness == pytest.approx(cost)
