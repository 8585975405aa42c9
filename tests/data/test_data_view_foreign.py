"""TFRecords that others have written: found out what is in them, told how they are read, and never a wrong picture."""

import gzip
import os
import struct
import zlib

import numpy as np
import pytest
from data_view import EDGES, asked, client, example, jpeg, shown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages import pixels
from stages.data import tfrecord
from stages.job import BadInput
from stages.view.sources import stored_bytes
from stages.view.sources.opening import sources

WIDE = (120, 60)
RANDOM = np.random.RandomState(5)


def boxes(count=2):
    """Sound boxes, as shares."""
    sides = RANDOM.uniform(0.1, 0.4, (count, 2))
    begins = RANDOM.uniform(0, 0.6, (count, 2))
    return [(*begin, *(begin + side)) for begin, side in zip(begins, sides)]


def file_of(tmp_path, examples, name="train.record", wrap=bytes):
    path = tmp_path / name
    path.write_bytes(wrap(b"".join(map(tfrecord.framed, examples))))
    return path


def read(tmp_path, examples, **more):
    """The entries of a file, and what is said of it."""
    (source,) = sources([str(file_of(tmp_path, examples, **more))], "x")
    return list(source.entries()), source.warnings


def named(turn, size=WIDE, scale=(1, 1)):
    """Records whose boxes are written after ``turn``; what they are, and the records."""
    truth = [boxes() for _ in range(30)]
    across = (*scale, *scale)
    records = [
        example("%d.jpg" % number, [(*turn(*(e * s for e, s in zip(box, across))), "cat") for box in ones], size)
        for number, ones in enumerate(truth)
    ]
    return truth, records


def same(entries, truth):
    return all(np.allclose([box.edges for box in entry.boxes], ones, atol=1e-5) for entry, ones in zip(entries, truth))


@pytest.mark.parametrize(
    "wrap", [bytes, gzip.compress, zlib.compress, lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:])]
)
def test_records_of_object_detections_scripts_compressed_or_not(tmp_path, wrap):
    truth, records = named(lambda *box: box)
    entries, warnings = read(tmp_path, records, wrap=wrap)
    assert same(entries, truth) and warnings == [] and len(entries) == 30
    assert (entries[3].name, entries[3].split, entries[3].size, entries[3].boxes[0].label) == (
        "3.jpg",
        "train",
        WIDE,
        "cat",
    )


@pytest.mark.parametrize(
    ("turn", "scale", "words"),
    [
        (lambda a, b, c, d: (b, a, d, c), WIDE, "x and y are exchanged"),
        (lambda a, b, c, d: (b, a, c, d), (1, 1), "xmin and ymin are exchanged (or xmax and ymax are exchanged: "),
        (lambda a, b, c, d: (a, b, d, c), WIDE, "xmax and ymax are exchanged"),
        (lambda a, b, c, d: (c, d, a, b), (1, 1), "minimum and maximum are exchanged"),
        (lambda a, b, c, d: (a, c, b, d), (1, 1), "ymin and xmax are exchanged"),
        (lambda a, b, c, d: (a, b, c - a, d - b), (1, 1), "xmax and ymax hold width and height"),
        (lambda a, b, c, d: (2 * a, b / 2, 2 * c, d / 2), (1, 1), "x is divided by the height and y by the width"),
    ],
)
def test_exchanged_edges_are_recognised_and_told(tmp_path, turn, scale, words):
    truth, records = named(turn, scale=scale)
    entries, warnings = read(tmp_path, records)
    assert same(entries, truth)
    assert any(words in one and "no boxes of their pictures as they are named" in one for one in warnings)


def test_x_and_y_exchanged_in_shares_are_told_by_pictures_of_several_shapes(tmp_path):
    sizes = [(120, 60), (60, 120), (90, 90)] * 10
    right = [
        example("%d" % n, [(0.3, 0.2, 0.3 + 20 / w, 0.2 + 20 / h, "cat")], (w, h)) for n, (w, h) in enumerate(sizes)
    ]
    turned = [
        example("%d" % n, [(0.2, 0.3, 0.2 + 20 / h, 0.3 + 20 / w, "cat")], (w, h)) for n, (w, h) in enumerate(sizes)
    ]
    (straight, said), (crossed, told) = read(tmp_path, right), read(tmp_path, turned)
    assert said == [] and "x and y are exchanged" in told[0]
    assert [one.boxes[0].edges for one in crossed] == [pytest.approx(one.boxes[0].edges) for one in straight]


def test_boxes_in_pixels_are_told(tmp_path):
    truth, records = named(lambda *box: box, scale=WIDE)
    entries, warnings = read(tmp_path, records)
    assert same(entries, truth) and "has boxes in pixels (image/object/bbox/xmin and the like)" in warnings[0]


def other(integers, floats, texts):
    """Records of other keys; each list holds what the records hold."""
    return tfrecord.example(integers, floats, texts)


def flat(order, scale=(1, 1, 1, 1)):
    return [value * one for box in boxes() for value, one in zip([box[place] for place in order], scale)]


def test_one_flat_list_in_pixels_class_ids_and_no_size(tmp_path):
    pixel_boxes = [[v * s for box in boxes() for v, s in zip(box, WIDE * 2)] for _ in range(20)]
    records = [
        other({"label": [3, 4], "id": [n]}, {"bboxes": ones}, {"image_raw": [jpeg(*WIDE)]})
        for n, ones in enumerate(pixel_boxes)
    ]
    (tmp_path / "label_map.pbtxt").write_text('item { id: 3 name: "fox" }')
    entries, warnings = read(tmp_path, records)
    assert (entries[7].name, entries[7].size) == ("7", WIDE)
    assert [box.label for box in entries[7].boxes] == ["fox", "class 4"]
    assert np.allclose(
        [box.edges for box in entries[7].boxes], np.reshape(pixel_boxes[7], (2, 4)) / (WIDE * 2), atol=1e-4
    )
    assert "read as xmin, ymin, xmax, ymax in pixels" in warnings[0]


def test_one_flat_list_in_shares_is_tensorflows_order_unless_that_cannot_be(tmp_path):
    ones = [boxes() for _ in range(20)]
    yxyx = [other({}, {"boxes": [box[p] for box in one for p in (1, 0, 3, 2)]}, {"image": [jpeg()]}) for one in ones]
    sides = [
        other({}, {"boxes": [v for a, b, c, d in one for v in (a, b, c - a, d - b)]}, {"image": [jpeg()]})
        for one in ones
    ]
    for records, words in ((yxyx, "ymin, xmin, ymax, xmax"), (sides, "x, y, width, height")):
        entries, warnings = read(tmp_path, records)
        assert same(entries, ones) and words in warnings[0]


def test_other_names_png_grey_whole_numbers_and_class_text_alone(tmp_path):
    grey = pixels._encode(".png", np.full((40, 50, 3), 7, np.uint8), [])
    records = [
        other(
            {"image/x1": [5], "image/y1": [4], "image/x2": [30], "image/y2": [20]},
            {},
            {"image/data": [grey], "image/class_name": [b"dog"]},
        )
    ] * 3
    entries, warnings = read(tmp_path, records)
    assert entries[0].size == (50, 40) and entries[0].name == "train.record#0"
    assert entries[2].boxes[0].edges == pytest.approx((0.1, 0.1, 0.6, 0.5)) and entries[2].boxes[0].label == "dog"


def test_pixels_that_are_not_encoded_are_shown(tmp_path):
    pixel = bytes(range(100)) * 3
    records = [other({"height": [10], "width": [10], "depth": [3]}, {}, {"image_raw": [pixel]})]
    (source,) = sources([str(file_of(tmp_path, records))], "x")
    (entry,) = source.entries()
    shown_picture = pixels.decode(source.look(entry.place, entry.name).data)
    assert shown_picture.tobytes() == pixel and "no boxes" in source.warnings[0]


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_large_pictures_and_masks_are_passed_over_and_shown_when_asked(tmp_path, wrap):
    noise = RANDOM.randint(0, 255, (12, 200, 300, 3)).astype(np.uint8)
    masks = [pixels.encode_png(one[:40]) for one in noise[:2]]
    encoded = [pixels.encode_png(one) for one in noise]
    records = [
        tfrecord.example(
            {"label": [1, 2]},
            {"image/xmin": [0.1, 0.2], "image/ymin": [0, 0], "image/xmax": [0.5, 1], "image/ymax": [1, 1]},
            {"image/mask": masks, "image/picture": [one], "image/filename": [b"%d" % number]},
        )
        for number, one in enumerate(encoded)
    ]
    assert min(map(len, records)) > 1 << 17
    (source,) = sources([str(file_of(tmp_path, records, wrap=wrap))], "x")
    entries = list(source.entries())
    assert source.warnings == [] and [one.name for one in entries] == [str(number) for number in range(12)]
    assert entries[11].size == (300, 200) and [box.label for box in entries[11].boxes] == ["class 1", "class 2"]
    for number in (11, 0, 7):
        looked = source.look(entries[number].place, str(number))
        assert looked.data == encoded[number] and looked.features["image/mask"].endswith("bytes")


def test_what_is_no_example_is_told(tmp_path):
    sequence = b"\x0a\x00\x12\x04\x0a\x02\x0a\x00"
    assert "it is a SequenceExample" in read(tmp_path, [sequence])[1][0]
    entries, warnings = read(tmp_path, [b"no example at all", example("a"), b"\xff" * 30])
    assert [one.name for one in entries] == ["a"] and "it is no tf.train.Example" in warnings[0]


def test_nothing_of_the_kind_is_a_sentence(tmp_path):
    (tmp_path / "notes").write_text("hello")
    for path, words in ((tmp_path, "neither TFRecords nor photos"), (tmp_path / "notes", "is not a TFRecord file")):
        with pytest.raises(BadInput, match=words):
            sources([str(path)], "x")


def test_an_empty_shard_among_others_is_one_that_nothing_was_left_for(tmp_path):
    paths = [str(file_of(tmp_path, ones, name)) for name, ones in (("a.record", [example("a")]), ("b.record", []))]
    packed = tmp_path / "c.record.gz"
    packed.write_bytes(gzip.compress(b""))
    (source,) = sources([*paths, str(packed)], "x")
    assert [one.name for one in source.entries()] == ["a"]
    for empty in (paths[1:], [str(packed)], [paths[1], str(packed)]):
        with pytest.raises(BadInput, match="There is no record in .*: it is empty"):
            sources(empty, "x")


@pytest.mark.parametrize("damage", [b"junk of no kind", b"\x1f\x8b\x08junk", b"x"])
def test_a_file_of_a_folder_that_is_called_so_and_damaged_at_once_is_told(tmp_path, damage):
    file_of(tmp_path, [example("a")], "train.record-00000-of-00002")
    (tmp_path / "train.record-00001-of-00002").write_bytes(damage)
    (source,) = sources([str(tmp_path)], "x")
    assert [one.name for one in source.entries()] == ["a"]
    assert any(
        one.startswith("train.record-00001-of-00002 is shown up to where it is damaged") for one in source.warnings
    )


def test_a_gif_that_would_fill_the_memory_is_a_sentence(tmp_path):
    picture = b"GIF89a" + struct.pack("<HH", 60000, 60000) + b"\xf0\0\0" + bytes(6) + b"," + bytes(8) + b"\0\2\0;"
    made = shown(tmp_path, file_of(tmp_path, [example("a", picture=picture)]))
    (item,) = asked(made, "/api/pictures")["items"]
    answer = client(made).get("/image/%s?size=thumb" % item["id"])
    assert answer.status_code == 404 and "The picture cannot be shown" in answer.json()["error"]


def head(size):
    length = struct.pack("<Q", size)
    return length + tfrecord.masked_crc(length)


@pytest.mark.parametrize("size", [2 << 30, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_a_length_of_gigabytes_reads_nothing(tmp_path, wrap, size):
    entries, warnings = read(tmp_path, [example("a")], wrap=lambda data: wrap(data + head(size) + b"abc"))
    assert len(entries) == 1 and "is shown up to where it is damaged: the record at byte" in warnings[0]


RECORDS = b"".join(tfrecord.framed(example("%d.jpg" % n, [(*box, "cat") for box in boxes()])) for n in range(4))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(12, len(RECORDS) - 1), st.sampled_from([bytes, gzip.compress, zlib.compress]))
def test_a_file_cut_anywhere_shows_its_whole_records(tmp_path, end, wrap):
    entries, warnings = read(tmp_path, [], wrap=lambda _: wrap(RECORDS[:end]))
    whole = len(list(_whole(RECORDS[:end])))
    assert [one.name for one in entries] == ["%d.jpg" % n for n in range(whole)]
    assert bool(warnings) == (end != sum(_whole(RECORDS[:end])))


def _whole(data):
    place = 0
    while place + 12 <= len(data):
        length = 16 + struct.unpack("<Q", data[place : place + 8])[0]
        if place + length > len(data):
            return
        yield length
        place += length


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(RECORDS) - 1), st.integers(1, 255))
def test_a_byte_that_was_changed_shows_no_wrong_picture(tmp_path, place, change):
    data = bytearray(RECORDS)
    data[place] ^= change
    path = file_of(tmp_path, [], wrap=lambda _: bytes(data))
    try:
        (source,) = sources([str(path)], "x")
    except BadInput:
        assert place < 12
        return
    for entry in source.entries():
        try:
            looked = source.look(entry.place, entry.name)
        except ValueError:
            continue
        assert entry.place.offset + 12 + entry.place.length <= place or place < entry.place.offset
        assert looked.data == jpeg() and looked.features["image/source_id"] == entry.name


def test_records_that_were_exchanged_under_the_viewer_are_not_shown(tmp_path):
    path = file_of(tmp_path, [example("a"), example("b")])
    made = shown(tmp_path, path)
    first, second = asked(made, "/api/pictures")["items"]
    file_of(tmp_path, [example("b"), example("a")])
    assert client(made).get("/image/" + first["id"]).status_code == 404
    assert "another picture is there" in asked(made, "/api/picture/" + second["id"])["problem"]


def test_an_index_of_other_files_is_not_taken(tmp_path):
    path = file_of(tmp_path, [example("a")])
    assert asked(shown(tmp_path, path), "/api/pictures")["total"] == 1
    file_of(tmp_path, [example("a"), example("b")])
    again = shown(tmp_path, path)
    assert asked(again, "/api/pictures")["total"] == 2
    kept = sorted(os.listdir(str(tmp_path / "cache")))
    assert again.index.stamp + ".sqlite" in kept and all(name.endswith(".sqlite") for name in kept)


def test_packed_bytes_are_those_of_the_file_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_bytes, "STEP", 5000)
    monkeypatch.setattr(stored_bytes, "KEPT", 100)
    monkeypatch.setattr(stored_bytes, "WINDOW", 700)
    monkeypatch.setattr(stored_bytes, "MOST_POINTS", 4)
    data = RANDOM.bytes(90000) + bytes(30000)
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(data[:50000]) + gzip.compress(data[50000:]))
    stored = stored_bytes.opened(str(path))
    places = [*range(0, 120000, 9000), *RANDOM.randint(0, 120050, 60)]
    for place in map(int, places):
        assert stored.read(place, 1500) == data[place : place + 1500], place


def test_a_feature_of_a_name_of_the_box_that_has_one_value_is_no_class(tmp_path):
    records = [tfrecord.example({"label": [5]}, dict.fromkeys(EDGES, []), {"image": [jpeg()]})] * 3
    entries, _ = read(tmp_path, records)
    assert [one.boxes for one in entries] == [[], [], []]
