import os
import subprocess
import sys

import pytest
from google.protobuf import text_format, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from stages.data import labels, tfrecord

# Written by TensorFlow 1.12: tf.python_io.TFRecordWriter(path).write(b"Nanoforge").
BY_TENSORFLOW = bytes.fromhex("090000000000000037f971394e616e6f666f7267659258030d")


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_what_is_framed_comes_back(contents):
    assert list(tfrecord.contents(b"".join(tfrecord.framed(content) for content in contents))) == contents


@given(st.binary(min_size=1, max_size=50), st.data())
def test_any_changed_byte_is_noticed(content, data):
    frame = bytearray(tfrecord.framed(content))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        list(tfrecord.contents(bytes(frame)))


@given(st.binary(max_size=50), st.data())
def test_any_cut_is_noticed(content, data):
    frame = tfrecord.framed(content)
    with pytest.raises(ValueError):
        list(tfrecord.contents(frame[: data.draw(st.integers(1, len(frame) - 1))]))


def test_the_framing_is_tensorflow_s():
    assert tfrecord.framed(b"Nanoforge") == BY_TENSORFLOW


PRINT_EXAMPLE = (
    "from stages.data.tfrecord import example; print(example({'c': [1, -2], 'z': []}, {'b': [0.1]},"
    " {'a%d' % n: [b'x'] for n in range(30)}).hex())"
)


def test_every_process_gives_the_same_bytes():
    """Without ``deterministic`` upb's map order differs from process to process."""
    environments = [dict(os.environ, PYTHONHASHSEED=str(seed)) for seed in range(3)]
    assert len({subprocess.check_output([sys.executable, "-c", PRINT_EXAMPLE], env=one) for one in environments}) == 1


def features(kind, *lengths):
    return st.dictionaries(st.text("xyz", min_size=lengths[0], max_size=lengths[1]), st.lists(kind, max_size=4))


@given(
    features(st.integers(-(2**63), 2**63 - 1), 1, 5),
    features(st.floats(width=32, allow_nan=False), 6, 7),
    features(st.binary(max_size=9), 8, 9),
)
def test_an_example_holds_what_it_was_given(integers, floats, texts):
    feature = tfrecord.Example.FromString(tfrecord.example(integers, floats, texts)).features.feature
    assert set(feature) == set(integers) | set(floats) | set(texts)
    for kind, given_features in (("int64_list", integers), ("float_list", floats), ("bytes_list", texts)):
        for name, values in given_features.items():
            assert feature[name].WhichOneof("kind") == kind
            assert list(getattr(feature[name], kind).value) == values


def test_the_label_map_escapes_quotes_and_keeps_letters():
    text = labels.label_map(['say "hi"', "raton\\laveur", "라쿤"])
    names = [line.split("name: ")[1] for line in text.splitlines() if "name: " in line]
    assert [text_format.Parse("value: " + name, wrappers_pb2.StringValue()).value for name in names] == [
        'say "hi"',
        "raton\\laveur",
        "라쿤",
    ]
    assert text.startswith("item {\n  id: 1\n")


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12), max_size=5))
def test_any_name_comes_back_from_the_label_map_with_its_id(names):
    items = labels.label_map(names).split("item {\n")[1:]
    assert len(items) == len(names)
    for number, (item, name) in enumerate(zip(items, names), 1):
        id_line, name_line, end, _ = item.split("\n")
        assert (id_line, end) == ("  id: %d" % number, "}")
        value = name_line.replace("  name: ", "value: ", 1)
        assert text_format.Parse(value, wrappers_pb2.StringValue()).value == name
