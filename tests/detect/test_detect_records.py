"""Records that are damaged, or not what their index says: contents or one sentence, whatever the bytes."""

import json
import shutil
import struct

import pytest
from detect_data import checksum, frame_of, framed, photo, write_records
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pixels, record_index
from stages.detect import pictures, tfrecord
from stages.job import BadInput

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
LINE = {
    "source_id": "a.jpg",
    "split": "validation",
    "shard": "validation-00000-of-00001.tfrecord",
    "offset": 0,
    "length": 16,
    "width": 4,
    "height": 2,
    "boxes": [[0.0, 0.0, 1.0, 1.0]],
    "classes": [1],
}


def read(folder):
    """What detection makes of a records artifact: the number of its pictures, or the sentence."""
    try:
        return len([one.load(None) for one in pictures.from_records(str(folder))])
    except BadInput as error:
        assert str(folder) in str(error) and "\n" not in str(error)
        return str(error)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records") / "records", count=2, size=(8, 8))


@pytest.fixture(scope="module")
def frames(artifact):
    return (artifact / LINE["shard"]).read_bytes()


@settings(max_examples=40)
@given(st.sampled_from(sorted(LINE)), ANY_JSON)
def test_any_value_in_the_index_is_a_picture_or_one_sentence(artifact, key, value):
    lines = [json.loads(line) for line in (artifact / "index.jsonl").read_text().splitlines()]
    folder = artifact.parent / "changed"
    if not folder.exists():
        shutil.copytree(str(artifact), str(folder))
    lines[1][key] = value
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    read(folder)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"length": 1 << 40}, "cut off"),
        ({"offset": 1 << 60}, "cut off"),
        ({"offset": -1}, "offset"),
        ({"length": -1}, "length"),
        ({"length": True}, "length"),
        ({"shard": "../validation-00000-of-00001.tfrecord"}, "shard"),
        ({"shard": ""}, "shard"),
        ({"boxes": [[0, 0, 1]]}, "boxes"),
        ({"boxes": [[0, 0, 1, float("nan")]]}, "boxes"),
        ({"classes": [0]}, "classes"),
        ({"classes": []}, "1 boxes have 0 classes"),
        ({"width": 0}, "width"),
        ({"source_id": None}, "source_id"),
    ],
)
def test_a_line_that_cannot_be_true_is_refused_with_what_is_wrong(artifact, tmp_path, changes, told):
    (tmp_path / LINE["shard"]).write_bytes((artifact / LINE["shard"]).read_bytes())
    (tmp_path / "index.jsonl").write_text(json.dumps(dict(LINE, **changes)) + "\n")
    assert told in read(tmp_path)


@pytest.mark.parametrize("text", [b"", b"\n", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200000, b'{"a":' * 200000])
def test_an_index_that_is_none_is_one_sentence(tmp_path, text):
    (tmp_path / "index.jsonl").write_bytes(text)
    assert isinstance(read(tmp_path), str)


def test_the_index_of_other_records_does_not_give_their_boxes_to_these_pictures(tmp_path):
    frame = framed(with_features({"image/encoded": [pixels.encode_png(photo(8, 8))], "image/source_id": [b"b.jpg"]}))
    (tmp_path / LINE["shard"]).write_bytes(frame)
    for name, told in (("a.jpg", "b.jpg; is index.jsonl that of other records"), ("b.jpg", 1)):
        (tmp_path / "index.jsonl").write_text(json.dumps(dict(LINE, source_id=name, length=len(frame))) + "\n")
        found = read(tmp_path)
        assert found == told if isinstance(told, int) else told in found


def test_a_frame_says_its_length_itself(frames, tmp_path):
    """The checksum of the head is right: only another length tells that it is damaged."""
    for length in (0, 1 << 31, 1 << 63):
        head = struct.pack("<Q", length)
        (tmp_path / LINE["shard"]).write_bytes(head + checksum(head) + frames[12:])
        (tmp_path / "index.jsonl").write_text(json.dumps(dict(LINE, length=len(frames) // 2)) + "\n")
        assert "no record of" in read(tmp_path)


def field(number, kind, content):
    """A protobuf field: its key, and for kind 2 its length, before the content."""
    length = varint(len(content)) if kind == 2 else b""
    return varint(number << 3 | kind) + length + content


def varint(number):
    more = b""
    while number > 127:
        more += bytes([number & 127 | 128])
        number >>= 7
    return more + bytes([number])


def entry(name, values):
    feature = field(1, 2, b"".join(field(1, 2, value) for value in values))
    return field(1, 2, field(1, 2, name.encode()) + field(2, 2, feature))


def with_features(features):
    return field(1, 2, b"".join(entry(name, values) for name, values in features.items()))


NESTED = b""
for _ in range(2000):
    NESTED = field(1, 2, NESTED)
CORPUS = {
    "empty": b"",
    "no features": field(1, 2, b""),
    "features of no name": field(1, 2, field(1, 2, b"")),
    "an int where text is": field(1, 0, b"\1"),
    "a group": field(1, 3, b""),
    "field 0": field(0, 2, b""),
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x07",
    "a length of 2**63": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a number without end": b"\x0a" + b"\xff" * 30,
    "floats for a picture": field(1, 2, field(1, 2, field(1, 2, b"image/encoded") + field(2, 2, field(2, 2, b"")))),
    "nested": NESTED,
    "many empty values": with_features({"image/encoded": [b""] * 20000}),
    "many empty entries": field(1, 2, field(1, 2, b"") * 20000),
    "many names": field(1, 2, field(1, 2, field(1, 2, b"") * 20000)),
    "another picture": with_features({"image/encoded": [b"\x89PNG\r\n\x1a\n"]}),
    "a picture of 2**31 pixels a side": with_features(
        {"image/encoded": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0"]}
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_whole_frame_of_anything_is_one_sentence(name, tmp_path):
    frame = framed(CORPUS[name]) if len(CORPUS[name]) < 5000 else None
    try:
        assert isinstance(tfrecord.feature(CORPUS[name], "image/encoded"), bytes)
    except ValueError as error:
        assert "\n" not in str(error)
    if frame:
        (tmp_path / LINE["shard"]).write_bytes(frame)
        (tmp_path / "index.jsonl").write_text(json.dumps(dict(LINE, length=len(frame))) + "\n")
        assert isinstance(read(tmp_path), str)


@given(st.data())
def test_any_change_below_the_checksums_is_a_picture_or_a_value_error(data):
    content = bytearray(tfrecord.content(frame_of(pixels.encode_png(photo(8, 8)))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        pixels.decode(tfrecord.feature(bytes(content), "image/encoded"))
    except ValueError:
        pass


def test_of_several_entries_and_names_the_last_counts_as_in_protobuf():
    twice = with_features({"a": [b"1"]}) + with_features({"a": [b"2", b"3"]})
    assert tfrecord.feature(twice, "a") == b"23"
    named_twice = field(1, 2, field(1, 2, b"b") + field(1, 2, b"a") + field(2, 2, field(1, 2, field(1, 2, b"x"))))
    both = field(1, 2, field(1, 2, named_twice[2:]))
    assert (tfrecord.feature(both, "a"), tfrecord.feature(both, "b")) == (b"x", b"")


def test_a_name_that_is_not_utf_8_is_its_own(tmp_path):
    name = b"\xb0\xed.jpg"
    record_index.check_source({"source_id": json.loads('"\\udcb0\\udced.jpg"')}, name)
    with pytest.raises(ValueError, match=r"\\xb0"):
        record_index.check_source({"source_id": "a.jpg"}, name)
