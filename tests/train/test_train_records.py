"""A records artifact as training sees it: its damage, and what TensorFlow reads out of real ones."""

import json
import os
import shutil
import struct
import subprocess

import cv2
import numpy as np
import pytest
import tensorflow as tf
from object_detection.data_decoders import tf_example_decoder

from stages.detect import pictures, tfrecord
from stages.job import BadInput
from stages.train import diagnosis
from stages.train.records import RecordSet

SHARD = "train-00000-of-00001.tfrecord"


@pytest.fixture
def copy(records_folder, tmp_path):
    return shutil.copytree(records_folder, str(tmp_path / "copy"))


def test_classes_shards_and_boxes(records_folder):
    records = RecordSet(records_folder)
    assert records.classes == ["red", "blue"]
    assert records.shards("train") == [SHARD]
    assert records.most_boxes() == 2
    assert {split: len(lines) for split, lines in records.index.items()} == {"train": 12, "validation": 5, "test": 0}


def test_a_truncated_shard_is_named(copy):
    path = os.path.join(copy, SHARD)
    with open(path, "r+b") as stream:
        stream.truncate(os.path.getsize(path) - 100)
    with pytest.raises(BadInput, match=SHARD + ".*cut off.*run records again"):
        RecordSet(copy)


def test_a_missing_shard_is_named(copy):
    os.remove(os.path.join(copy, SHARD))
    with pytest.raises(BadInput, match=SHARD + " is missing"):
        RecordSet(copy)


def test_a_damaged_shard_is_found(copy):
    path = os.path.join(copy, SHARD)
    with open(path, "r+b") as stream:
        stream.seek(5000)
        stream.write(b"damage")
    assert diagnosis.damaged_shard([os.path.join(copy, "validation-00000-of-00001.tfrecord"), path]) == path


def index_of(folder):
    return [json.loads(line) for line in open(os.path.join(folder, "index.jsonl"))]


def write_index(folder, lines):
    with open(os.path.join(folder, "index.jsonl"), "w") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("length", [1, 1 << 31, 1 << 40, 1 << 63])
def test_a_record_with_another_length_than_the_index_says_is_refused_before_tensorflow_takes_the_memory(copy, length):
    with open(os.path.join(copy, SHARD), "r+b") as stream:
        head = struct.pack("<Q", length)
        stream.write(head + tfrecord._checksum(head))
    with pytest.raises(BadInput, match=SHARD + " has no record of .* bytes at byte 0.*run records again"):
        RecordSet(copy)


def test_the_index_of_other_records_is_refused(copy):
    lines = index_of(copy)
    lines[0], lines[1] = (
        dict(lines[1], offset=0, length=lines[0]["length"]),
        dict(lines[0], offset=lines[1]["offset"], length=lines[1]["length"]),
    )
    write_index(copy, lines)
    with pytest.raises(BadInput, match="first record in .*index.jsonl that of other records"):
        RecordSet(copy)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, tf.train.Example().SerializeToString()])
def test_what_is_no_example_is_refused_before_tensorflow_ends_without_a_word(copy, content):
    lines = [line for line in index_of(copy) if line["split"] == "validation"]
    frame = tf_frame(content)
    with open(os.path.join(copy, SHARD), "wb") as stream:
        stream.write(frame)
    write_index(copy, [dict(lines[0], split="train", shard=SHARD, offset=0, length=len(frame)), *lines])
    with pytest.raises(BadInput, match="first record in .*cannot be used.*run records again"):
        RecordSet(copy)


def tf_frame(content):
    head = struct.pack("<Q", len(content))
    return head + tfrecord._checksum(head) + content + tfrecord._checksum(content)


def test_a_whole_record_that_cannot_be_decoded_is_named(copy):
    lines = index_of(copy)
    path = os.path.join(copy, SHARD)
    contents = list(tf.python_io.tf_record_iterator(path))
    example = tf.train.Example.FromString(contents[3])
    del example.features.feature["image/object/bbox/xmin"].float_list.value[:]
    contents[3], offset = example.SerializeToString(), 0
    for line, content in zip([line for line in lines if line["shard"] == SHARD], contents):
        line.update(offset=offset, length=len(content) + 16)
        offset += line["length"]
    with open(path, "wb") as stream:
        stream.write(b"".join(map(tf_frame, contents)))
    write_index(copy, lines)
    told = diagnosis.undecodable(RecordSet(copy), ("validation", "train"))
    assert "picture-04.png" in told and SHARD in told and "\n" not in told


def test_records_that_can_be_decoded_are_not_blamed(records_folder):
    assert diagnosis.undecodable(RecordSet(records_folder), ("train", "validation")) is None


def test_an_empty_split_is_bad_input(copy):
    lines = [line for line in open(os.path.join(copy, "index.jsonl")) if '"train"' in line]
    with open(os.path.join(copy, "index.jsonl"), "w") as stream:
        stream.writelines(lines)
    with pytest.raises(BadInput, match="no validation picture"):
        RecordSet(copy)


@pytest.mark.parametrize("content", [b"item {", b"\xff", None])
def test_a_label_map_that_cannot_be_read_is_named(copy, content):
    path = os.path.join(copy, "label_map.pbtxt")
    os.remove(path)
    if content is None:
        os.symlink("label_map.pbtxt", path)
    else:
        with open(path, "wb") as stream:
            stream.write(content)
    with pytest.raises(BadInput, match="label map .*label_map.pbtxt cannot be read.*run records again"):
        RecordSet(copy)


def test_a_label_map_of_other_classes_is_refused(copy):
    with open(os.path.join(copy, "label_map.pbtxt"), "w") as stream:
        stream.write('item { id: 1 name: "blue" } item { id: 2 name: "red" }')
    with pytest.raises(BadInput, match="names other classes than dataset.json"):
        RecordSet(copy)


@pytest.mark.parametrize("name", ["label_map.pbtxt", "dataset.json", "index.jsonl"])
def test_a_named_pipe_is_refused_unopened(copy, name):
    os.remove(os.path.join(copy, name))
    os.mkfifo(os.path.join(copy, name))
    with pytest.raises(BadInput, match="pipe"):
        RecordSet(copy)


@pytest.mark.parametrize(
    "name, content",
    [
        ("dataset.json", "{"),
        ("dataset.json", "[1]"),
        ("dataset.json", '{"classes": []}'),
        ("dataset.json", '{"classes": [{"id": 1}]}'),
        ("dataset.json", '{"classes": 7}'),
        ("index.jsonl", "x"),
        ("index.jsonl", '{"split": "train"}'),
        ("index.jsonl", "[" * 100000),
    ],
)
def test_what_is_no_records_artifact_is_bad_input(copy, name, content):
    with open(os.path.join(copy, name), "w") as stream:
        stream.write(content)
    with pytest.raises(BadInput):
        RecordSet(copy)


XML = """<annotation><filename>%(file)s</filename><size><width>120</width><height>80</height><depth>3</depth></size>
<object><name>red</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>13</xmin><ymin>9</ymin><xmax>60</xmax><ymax>48</ymax></bndbox></object>
<object><name>blue</name><pose>Right</pose><truncated>0</truncated><difficult>1</difficult>
<bndbox><xmin>61</xmin><ymin>5</ymin><xmax>118</xmax><ymax>78</ymax></bndbox></object></annotation>"""


@pytest.fixture
def made_by_the_records_stage(tmp_path):
    """Records of four photos, made by stages.data.records in the environment it is meant for.

    Three are JPEGs that are decoded at a part of their size, or a whole one; two are of odd size, one is progressive.
    """
    for number, (height, width) in enumerate([(80, 120), (160, 240), (162, 243), (75, 112)]):
        name = "photo-%d.%s" % (number, "jpg" if number else "png")
        picture = np.random.RandomState(number).randint(0, 255, (height // 4, width // 4, 3)).astype(np.uint8)
        options = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(number == 2)] if number else []
        cv2.imwrite(str(tmp_path / name), cv2.resize(picture, (width, height)), options)
        (tmp_path / name).with_suffix(".xml").write_text(XML % {"file": name})
    (tmp_path / "out").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "job.json").write_text(
        json.dumps(
            {
                "stage": "records",
                "inputs": {"photos": str(tmp_path), "annotations": str(tmp_path)},
                "output": str(tmp_path / "out"),
                "scratch": str(tmp_path / "scratch"),
                "cpus": 1,
                "parameters": {
                    "classes": ["red", "blue"],
                    "image_size": [40, 60],
                    "encoding": "png",
                    "jpeg_quality": 95,
                    "aliases": {},
                    "boxes": "auto",
                    "sizes": "xml",
                    "split": "auto",
                    "validation_fraction": 0.3,
                    "accept_losses": True,
                    "seed": 1,
                    "limit": 0,
                    "pictures_per_shard": 100,
                    "max_megapixels": 100,
                    "findings": {},
                },
            }
        )
    )
    subprocess.run(
        [os.environ["NANOFORGE_DATA_PYTHON"], "-m", "stages.data.records", str(tmp_path / "job.json")], check=True
    )
    return tmp_path


def decoded(path):
    """Every record of a TFRecord file as object_detection decodes it."""
    with tf.Graph().as_default(), tf.Session() as session:
        record = tf.placeholder(tf.string, [])
        tensors = tf_example_decoder.TfExampleDecoder().decode(record)
        return [session.run(tensors, {record: data}) for data in tf.python_io.tf_record_iterator(path)]


def test_tensorflow_reads_what_the_records_stage_wrote(made_by_the_records_stage):
    records = RecordSet(str(made_by_the_records_stage / "out"))
    seen = []
    for lines in filter(None, records.index.values()):
        for line, example in zip(lines, decoded(os.path.join(records.folder, lines[0]["shard"]))):
            name = line["source_id"]
            seen.append(name)
            photo = made_by_the_records_stage / example["filename"].decode()
            looked_at = pictures.from_files(str(photo), 100, pytest.fail)[0].load((40, 60)).picture
            np.testing.assert_array_equal(example["image"], looked_at)
            np.testing.assert_allclose(example["groundtruth_boxes"], line["boxes"], atol=1e-7)
            np.testing.assert_allclose(
                example["groundtruth_boxes"],
                [[9 / 80, 13 / 120, 48 / 80, 60 / 120], [5 / 80, 61 / 120, 78 / 80, 118 / 120]],
                atol=1.01 / 80,
            )  # VOC counts pixels from 1: half-open or closed, within one
            assert example["groundtruth_classes"].tolist() == line["classes"] == [1, 2]
            assert example["groundtruth_difficult"].tolist() == [False, True]
            assert example["source_id"].decode() == name
    assert len(seen) == len(set(seen)) == 4


KEYS = {
    "image/height",
    "image/width",
    "image/filename",
    "image/source_id",
    "image/key/sha256",
    "image/encoded",
    "image/format",
    "image/object/bbox/xmin",
    "image/object/bbox/xmax",
    "image/object/bbox/ymin",
    "image/object/bbox/ymax",
    "image/object/class/text",
    "image/object/class/label",
    "image/object/difficult",
    "image/object/truncated",
    "image/object/view",
}


def test_the_records_stages_records_have_the_keys_of_create_pascal_tf_record(made_by_the_records_stage):
    path = str(made_by_the_records_stage / "out" / SHARD)
    example = tf.train.Example.FromString(next(tf.python_io.tf_record_iterator(path)))
    features = example.features.feature
    assert set(features) == KEYS
    assert list(features["image/object/class/text"].bytes_list.value) == [b"red", b"blue"]
    assert list(features["image/object/truncated"].int64_list.value) == [1, 0]
    assert list(features["image/object/view"].bytes_list.value) == [b"Left", b"Right"]
    assert [features["image/" + side].int64_list.value[0] for side in ("height", "width")] == [40, 60]
