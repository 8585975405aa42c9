"""detector.toml: every fault with its key, value, line and the nearest right spelling, all at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.config import reader, schema
from nanoforge.config.template import CPU_SETTINGS, GPU_SETTINGS, detector_toml
from nanoforge.errors import BadInput

BASE = '[dataset]\nclasses = ["cat"]\n'


def load(tmp_path: Path, text: str, *overrides: str) -> schema.Config:
    file = tmp_path / "detector.toml"
    file.write_text(text, encoding="utf-8")
    return reader.load(file, overrides)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train]\nstpes = 5\n", "line 4: train.stpes is no key; did you mean train.steps?"),
        ("[trian]\nsteps = 5\n", "line 3: [trian] is no section"),
        ("[train]\nsteps = 'many'\n", "line 4: train.steps = 'many': expected int"),
        ("[train]\nsteps = 0\n", "line 4: train.steps = 0: expected int >= 1"),
        ("[train]\nseed = true\n", "line 4: train.seed = True: expected a number, got a boolean"),
        ("[model]\narchitecture = 'ssd_mobilnet_v2'\n", "did you mean ssd_mobilenet_v2?"),
        ("[model]\ninput_size = [300]\n\n[model.x]\na = 1\n", "model.x is no key"),
        ("[model]\ninput_size = 8\n", "expected one number, or two"),
        ("[model]\ninput_size = 0\n", "line 4: model.input_size = 0"),
        ("[records]\nfindings = { box_tiny = 'ignore' }\n", "records.findings.box_tiny = 'ignore'"),
        ("[train]\nsteps = 10\nwarmup_steps = 20\n", "line 5: train.warmup_steps must be smaller"),
    ],
)
def test_a_fault_is_named_with_line_and_remedy(tmp_path, text, words):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, BASE + text)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, BASE + "[train]\nstpes = 5\nsteps = 'x'\n[nope]\n", "train.bacth_size=3", "nonsense")
    assert len(str(caught.value).splitlines()) == 6


@pytest.mark.parametrize("classes", ['["cat", "cat"]', "[]", '["cat", " "]', "5", '"cat"'])
def test_classes_must_make_sense(tmp_path, classes):
    with pytest.raises(BadInput, match="classes"):
        load(tmp_path, f"[dataset]\nclasses = {classes}\n")


def test_a_file_without_classes_says_how_to_name_them(tmp_path):
    with pytest.raises(BadInput, match=r'classes = \["raccoon"\]'):
        load(tmp_path, "[dataset]\nphotos = 'x'\n")


def test_overrides_win_and_are_typed(tmp_path):
    found = load(tmp_path, BASE, "train.steps=7", "model.input_size=[192, 320]", "model.architecture=ssd_inception_v2")
    assert (found.train.steps, found.model.input_size) == (7, [192, 320])
    assert found.model.architecture == "ssd_inception_v2"


def test_broken_toml_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="not valid TOML.*line 1"):
        load(tmp_path, "[dataset\n")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(BadInput, match="init PHOTOS"):
        reader.load(tmp_path / "detector.toml")


@pytest.mark.parametrize("settings", [CPU_SETTINGS, GPU_SETTINGS])
@pytest.mark.parametrize("name", ["cat", 'qu"ote', "back\\slash", "고양이", "a = b # c"])
def test_what_init_writes_is_read_back(tmp_path, settings, name):
    text = detector_toml({("dataset", "classes"): [name], **settings}, "A note\nof two lines")
    found = load(tmp_path, text)
    assert found.dataset.classes == [name]
    assert found.train.steps == settings["train", "steps"]


def test_what_init_writes_as_comments_are_the_defaults(tmp_path):
    text, _, _hosts = detector_toml({("dataset", "classes"): ["cat"]}, "").partition("# [hosts.nano]")
    live = "\n".join(
        line[2:] if line.startswith("# ") and " = " in line and line[2].islower() else line
        for line in text.splitlines()
    )
    assert load(tmp_path, live) == load(tmp_path, BASE)


@given(st.text(max_size=60))
def test_no_text_makes_a_traceback(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("config") / "detector.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        reader.load(file)
    except BadInput as error:
        assert str(error)


def test_every_key_is_documented():
    assert all(key.meaning for key in schema.keys())
    assert len({(key.section, key.name) for key in schema.keys()}) == len(list(schema.keys())) > 30
