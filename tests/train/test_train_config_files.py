"""pipeline.config and label map as people have them: read, or refused by the line."""

import os

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput
from stages.protos import label_map, other_versions, pipeline

CONFIG = """model {
  ssd {
    num_classes: 2
    feature_extractor { type: "ssd_mobilenet_v1" depth_multiplier: 1.0 %s }
  }
}
train_config {
  fine_tune_checkpoint: "start/model.ckpt"  # where from
  batch_size: 4
  data_augmentation_options { random_horizontal_flip { } }
}
train_input_reader {
  label_map_path: "map.pbtxt"
  tf_record_input_reader { input_path: "train.record" }
}
"""
PLAIN = CONFIG % ""
MAP = "item {\n  id: 1\n  name: 'cone'\n}\nitem {\n  id: 2\n  name: 'ball'\n  display_name: 'Ball'\n}\n"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.fixture
def read(tmp_path):
    """``read(text or bytes, **options)`` -> the message and what was said."""

    def read_config(text, **options):
        path, said = tmp_path / "own.config", []
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return pipeline.read(str(path), said.append, **options), said

    return read_config


@pytest.fixture
def names(tmp_path):
    """``names(text or bytes)`` -> what the label map says."""

    def read_map(text):
        path = tmp_path / "map.pbtxt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return label_map.read(str(path))

    return read_map


def refusal(call, text, **options):
    with pytest.raises(BadInput) as refused:
        call(text, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_and_line_end_of_editors_is_read(read, names, encoding, ends):
    config, said = read(PLAIN.replace("\n", ends).encode(encoding))
    assert config == text_format.Parse(PLAIN, TrainEvalPipelineConfig()) and said == []
    assert names(MAP.replace("\n", ends).encode(encoding)) == {1: "cone", 2: "Ball"}
    wrong = PLAIN.replace("batch_size", "batch_sizes").replace("\n", ends)
    assert "line 9: batch_sizes: 4 is no field of TrainConfig; did you mean batch_size?" in refusal(
        read, wrong.encode(encoding)
    )


@pytest.mark.parametrize("value", ["true", "True", "t", "1"])
def test_a_harmless_field_of_another_version_is_passed_over_with_a_word(read, value):
    config, (said,) = read(CONFIG % ("batch_norm_trainable: " + value))
    assert config == text_format.Parse(PLAIN, TrainEvalPipelineConfig())
    assert said.startswith("own.config, line 4: batch_norm_trainable: %s, of another version" % value)


@pytest.mark.parametrize("separator", [",", ";", " ,\n", ""])
def test_what_is_passed_over_leaves_no_separator_behind(read, separator):
    """text_format takes one behind a field, and none without a field before it."""
    text = CONFIG.replace("%s", "").replace('type: "ssd', 'batch_norm_trainable: true%s type: "ssd' % separator)
    text = text.replace("batch_size: 4", "batch_size: 4%s fine_tune_checkpoint_version: V2%s" % (separator, separator))
    config, said = read(text)
    assert config == text_format.Parse(PLAIN, TrainEvalPipelineConfig()) and len(said) == 2


def test_a_value_that_makes_a_difference_is_refused_for_a_training_alone(read):
    text = CONFIG % "batch_norm_trainable: false"
    assert "line 4: batch_norm_trainable: false" in refusal(read, text) and "freeze_batchnorm" in refusal(read, text)
    assert "the graph itself says" in read(text, trains=False)[1][0]


def test_an_augmentation_of_another_version_is_refused_for_a_training_alone(read):
    text = PLAIN.replace("random_horizontal_flip { }", "random_patch_gaussian {\n min_patch_size: [1,\n2] }")
    assert "line 10: random_patch_gaussian is of another version" in refusal(read, text)
    assert len(read(text, trains=False)[1]) == 1


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize(
    "field, meant",
    [("depth_multiplyer: 1", "depth_multiplier"), ("bath_norm_trainable: true", "batch_norm_trainable")],
)
def test_what_no_version_has_is_refused_with_the_nearest(read, field, meant, trains):
    said = refusal(read, CONFIG % field, trains=trains)
    assert "own.config, line 4: %s is no field of SsdFeatureExtractor; did you mean %s?" % (field, meant) in said


def test_the_table_lists_only_what_object_detection_lacks_or_lacked():
    held = {name for fields in other_versions.PASSED_OVER.values() for name in fields}
    assert held.isdisjoint(("batch_size", "type", "num_classes"))
    for message, fields in other_versions.PASSED_OVER.items():
        for name, field in fields.items():
            values = field.values or ("7",)
            assert all(other_versions.passed_over(message, name, value, True) for value in values)
            assert field.values is None or not other_versions.passed_over(message, name, "0.7", True)
            assert other_versions.passed_over(message, name, "0.7", False)


@pytest.mark.parametrize(
    "path",
    [
        r'"C:\Users\me\Documents\model.ckpt"',
        r'"C:\data\"',
        r"'D:\x\new\train.record'",
        r"C:\Users\My Name\train.record",
        r'"\\server\share\x"',
        '"/home/홍길동/train.record"',
        "",
    ],
)
def test_paths_are_read_as_systems_write_them_and_what_follows_keeps_its_line(read, path):
    path = path or b'"C:\\Users\\\xc8\xab\xb1\xe6\\x"'.decode("utf-8", "surrogateescape")
    text = PLAIN.replace('"start/model.ckpt"', path).replace('"map.pbtxt"', path).replace('"train.record"', path)
    config, said = read(text.encode("utf-8", "surrogateescape"))
    assert config.train_config.batch_size == 4 and said == []
    held = config.train_config.fine_tune_checkpoint
    assert held.isprintable() and "Users" in held or "Users" not in path
    wrong = (text + "foo: 3\n").encode("utf-8", "surrogateescape")
    assert "line 16: foo: 3 is no field" in refusal(read, wrong)


def test_a_comment_may_be_in_any_encoding_and_a_value_may_not(read):
    assert read(PLAIN.replace("# where from", "# Stra\udcdfe").encode("utf-8", "surrogateescape"))[1] == []
    damaged = PLAIN.replace("ssd_mobilenet_v1", "ssd\udcdf").encode("utf-8", "surrogateescape")
    assert "line 4: it is not UTF-8" in refusal(read, damaged)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is empty"),
        (" \n\t\r\n", "is empty"),
        ("\ufeff", "is empty"),
        ("# model { ssd { } }\n", "nothing but comments"),
        ("train_config { }", "describes no model"),
        ("model { }", "describes no model"),
        (MAP, "but a label map"),
        ('model_checkpoint_path: "model.ckpt-5"', "list of checkpoints"),
        ("\x08\x01\x12\x00\x00", "a binary file"),
        ("{ 'model': 1 }", "JSON"),
        ("<annotation/>", "XML"),
        ("\n\nmodel { faster_rcnn { num_classes: 3 bar: 1 } }", "line 3, describes a faster_rcnn model"),
        ("model { center_net { } }", "describes a center_net model"),
        ("model { ssdd { } }", "did you mean ssd?"),
        ("model { ssd {\nnum_classes: 3", "line 2"),
        ("model { ssd {\nnum_classes: x } }", "line 2, column 14: Couldn't parse integer: x"),
        ("model { ssd {\npost_processing { score_converter: SIGMOYD } } }", "line 2"),
        ("foo: 'a'  # comment\n" + PLAIN, "line 1: foo: a is no field"),
        ("https://x\n" + PLAIN, "line 1: https"),
        (
            PLAIN.replace("batch_size: 4", "batch_size: 4 // four"),
            "line 9: // stands where a field is expected; a comment",
        ),
        (
            PLAIN.replace("multiplier: 1.0", "multiplier: 1,0"),
            "line 4: 0 stands where a field is expected; a field is written as name: value or name { … }, a number",
        ),
        (PLAIN.replace("batch_size: 4", "batch_size = 4"), "line 9: = stands behind batch_size; a field is written"),
        (PLAIN.replace("batch_size: 4", "batch_size=4"), "line 9: batch_size=4 stands where a field is expected"),
        ("```\n" + PLAIN, "line 1: ``` stands where a field is expected"),
        (PLAIN.replace('"ssd_mobilenet_v1"', "“ssd_mobilenet_v1”"), "found: '“'; a text stands between quotes"),
        (PLAIN + "}\n", "got }; it closes nothing: remove it"),
        (PLAIN.replace("flip { }", "flip { a: 1 }"), "line 10: a: 1 is no field of RandomHorizontalFlip; "),
    ],
)
def test_what_is_no_config_of_an_ssd_is_refused_in_words(read, text, words):
    assert words in refusal(read, text) and words in refusal(read, text, trains=False)


def test_what_is_said_twice_is_told(read):
    text = PLAIN.replace("batch_size: 4", "batch_size: 4\n batch_size: 8").replace(
        "random_horizontal_flip { }", "random_horizontal_flip { }\nssd_random_crop { }"
    )
    config, said = read(text)
    assert config.train_config.batch_size == 8
    assert [words.split(" takes")[0] for words in said] == [
        "own.config, line 10: batch_size",
        "own.config, line 12: ssd_random_crop",
    ]


def test_of_two_configs_in_one_file_it_is_told_what_they_share(read):
    config, said = read("\ufeff" + PLAIN + "\ufeff" + PLAIN.replace("num_classes: 2", "num_classes: 7"))
    assert config.model.ssd.num_classes == 7 and len(said) == 1
    assert "model (line 16), train_config (line 22), train_input_reader (line 27)" in said[0]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("item { id: 1 name: 'a' }\nitem { id: 5 name: 'b' }", {1: "a", 5: "b"}),
        ("item { name: 'background' id: 0 }\nitem { id: 1 name: 'b' }", {1: "b"}),
        ("item { name: '/m/01g317' id: 1 display_name: 'person' }", {1: "person"}),
        ("item { id: 1 display_name: 'person' }", {1: "person"}),
        ("item { id: 1 name: 'a' keypoints { id: 1 label: 'nose' } frequency: RARE instance_count: 4 }", {1: "a"}),
        ("item: [ { id: 1, name: 'a' },\n { id: 2; name: \"b\" } ] # both", {1: "a", 2: "b"}),
        ("item < id: 1 name: 'gr' \"een\" >", {1: "green"}),
        ("item { id\u200b: 1 name: 'a' }\n\ufeffitem { id: 2 name: 'b' }", {1: "a", 2: "b"}),  # two files joined
        ("item { id: 1 name: 'it\\'s \\354\\235\\264' }", {1: "it's 이"}),
    ],
)
def test_label_maps_are_read(names, text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    "text, words",
    [
        ("item { id: 1 name: 'a' }\nitem {\nid: 1 name: 'b' }", "line 3: the id 1 is that of line 1 already"),
        ("item { id: 1 name: 'a' }\nitem {\nid: 2 name: 'a' }", "line 2: the name 'a' is that of the item in line 1"),
        ("item { id: 1\nnmae: 'a' }", "line 2: nmae is no key of a label map; did you mean name?"),
        ("items { id: 1 name: 'a' }", "line 1: items is no key of a label map; did you mean item?"),
        ("item { id: 1\nname: '' }", "line 2: name is empty"),
        ("item { id: 1\nname: ' ' }", "line 2: name is empty"),
        ("item { id: 1\nname: '\u200b\ufeff' }", "line 2: name is empty"),
        ("item { id: 1\nname: 'a\\nb' }", "line 2: name 'a\\nb' holds a line break"),
        ("item { id: 1 name: 'a'\ndisplay_name: 'a\u2028b' }", "line 2: display_name"),
        ("item { id: 1\nname: 'a\nb' }", "line 2"),
        ("item { name: 'a' }", "line 1: this item has no id"),
        ("\nitem { id: 1 }", "line 2: this item has no name"),
        ("item { id: 0 name: 'cone' }", "line 1: the id 0 of 'cone' is the background's"),
        ("item { id: -1 name: 'cone' }", "line 1: the id -1 is below 0"),
        ("item { id: 1 name: 'a'\nid: 2 name: 'b' }", "line 2: id is said twice"),
        ("item { id: one name: 'a' }", "line 1"),
        ("item { id: 1\nname: ‘a’ }", "line 2, column 7: Expected string but found: '‘'; a text stands between"),
        ("item {\nid = 1\nname = 'a' }", "line 2: = stands behind id"),
        ("item { id: 1 }\nitem { id: '2' name: 'a' }", "an integer is written with digits alone"),
        ("item { id: 99999999999 name: 'a' }", "line 1"),
        ("cone\nball\n", "a list without braces"),
        ('{"cone": 1}', "it is JSON"),
        (PLAIN, "a pipeline.config"),
        ("", "is empty"),
        ("# nothing", "names no class"),
        ("item { id: 0 name: 'background' }", "no class but the background"),
        ("\x00\x01", "a binary file"),
    ],
)
def test_a_label_map_that_is_wrong_is_refused_by_its_line(names, text, words):
    assert words in refusal(names, text)


def mutated(draw, whole):
    """``whole`` with parts cut, doubled, moved or replaced, and in one of the encodings."""
    text = whole
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + draw(st.sampled_from([1, 8, 200])))))
        part = draw(
            st.one_of(
                st.sampled_from(
                    ["", "{", "}", "[", "]", "'", '"', "\\", ":", "#", "<", ">", "\n", "\r", "\0", "-", ";"]
                ),
                st.sampled_from(
                    ["a { " * 3000, "[" * 3000, "item { ", "C:\\", '\\U"', "\ufeff", "\u2028", "1e999", "name: "]
                ),
                st.just(text[start:end] * 2),
                st.text(max_size=5),
            )
        )
        text = text[:start] + part + text[end:]
    return text.encode(draw(st.sampled_from(ENCODINGS)), "surrogatepass")[draw(st.sampled_from([0, 0, 0, 1])) :]


@st.composite
def configs(draw):
    return mutated(draw, draw(st.sampled_from([PLAIN, CONFIG % "batch_norm_trainable: true", "model { ssd { } }"])))


@st.composite
def maps(draw):
    return mutated(draw, MAP)


def outcome(call, data, **options):
    try:
        return call(data, **options)
    except BadInput as error:
        said = str(error)
        assert said and "\n" not in said and len(said) < 2000
        return None


fuzzed = settings(max_examples=25, deadline=None, suppress_health_check=HealthCheck.all())


@fuzzed
@given(configs(), st.booleans())
@example(b"model { ssd { " * 20000, True)
@example(b"x { y: [ " * 20000, True)
@example(b"x: '" * 20000 + b"\xff\xfe", True)
@example(b"train_config { fine_tune_checkpoint: " + b'"' * 40001 + b" }", True)
@example(b"input_path: '" * 20000, False)
@example("\udcff\udcfe: 3".encode("utf-8", "surrogateescape"), True)
def test_any_config_is_read_or_refused_in_a_sentence(tmp_path_factory, data, trains):
    path, said = tmp_path_factory.getbasetemp() / "fuzzed.config", []
    path.write_bytes(data)
    found = outcome(pipeline.read, str(path), warn=said.append, trains=trains)
    assert found is None or (found.model.HasField("ssd") and len(said) < 100)


@fuzzed
@given(maps())
@example(b"item { " * 20000)
@example(b"item: [" * 20000)
@example(b"item { id: 1 name: '" + b"\\377" * 100 + b"' }")
@example(b"item { x { " * 20000 + b"}" * 20000)
def test_any_label_map_is_read_or_refused_in_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.pbtxt"
    path.write_bytes(data)
    found = outcome(label_map.read, str(path))
    assert found is None or all(number > 0 and name.strip() and "\n" not in name for number, name in found.items())


def test_a_sparse_file_of_any_size_is_refused(tmp_path):
    path = tmp_path / "huge"
    with open(str(path), "wb") as stream:
        os.truncate(stream.fileno(), 1 << 40)
    for call in (label_map.read, lambda path: pipeline.read(path, print)):
        with pytest.raises(BadInput, match="more than"):
            call(str(path))
