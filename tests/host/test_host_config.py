"""detector.toml: every fault with its key, value, line and the nearest right spelling, all at once."""

import contextlib
import os
from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.config import checks, entries, reader, schema
from nanoforge.config.entries import MOST_FAULTS
from nanoforge.config.template import CPU_SETTINGS, GPU_SETTINGS, detector_toml
from nanoforge.errors import BadInput
from stages.finding_kinds import KINDS

BASE = '[dataset]\nclasses = ["cat"]\n'


def load(tmp_path: Path, text: str, *overrides: str) -> schema.Config:
    file = tmp_path / "detector.toml"
    file.write_text(text, encoding="utf-8")
    return reader.load(file, overrides)


def faults(tmp_path: Path, text: str, *overrides: str) -> List[str]:
    """The faults of a config, one each line, without the line that names the file."""
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text, *overrides)
    assert caught.value.exit_code == 2
    first, *lines = str(caught.value).splitlines()
    assert first == f"{tmp_path / 'detector.toml'} cannot be used:"
    return [line.strip() for line in lines]


ARCHITECTURES = "ssd_mobilenet_v1, ssd_mobilenet_v2, ssdlite_mobilenet_v2, ssd_inception_v2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train]\nstpes = 5\n", "line 4: unknown key train.stpes; did you mean train.steps?"),
        ("[train]\nsteps = 'many'\n", "line 4: train.steps = 'many': expected int, got str (Training steps)"),
        ("[train]\nsteps = 0\n", "line 4: train.steps = 0: expected int >= 1 (Training steps)"),
        (
            "[train]\nseed = true\n",
            "line 4: train.seed = True: expected int, got bool (Seed of weights, shuffling and augmentation)",
        ),
        (
            "[model]\narchitecture = 'ssd_mobilnet_v2'\n",
            "line 4: model.architecture = 'ssd_mobilnet_v2': expected one of "
            f"{ARCHITECTURES}; did you mean ssd_mobilenet_v2?",
        ),
        ("[model]\narchitecture = 2\n", f"line 4: model.architecture = 2: expected one of {ARCHITECTURES}"),
        ("[records]\nencoding = 'jpg'\n", "encoding = 'jpg': expected one of png, jpeg; did you mean jpeg?"),
        ("[convert]\nto = 'tensorrt'\n", "line 4: convert.to = 'tensorrt': expected one of uff, onnx"),
        ("[runner]\nuse = ''\n", "line 4: runner.use = '': expected one of auto, docker, local"),
        ("[model]\ninput_size = [300]\n\n[model.x]\na = 1\n", "unknown key model.x"),
        ("[model]\ninput_size = 8\n", "model.input_size = 8: expected one number, or two as [height, width]"),
        ("[model]\ninput_size = [64, 64, 64]\n", "[64, 64, 64]: expected one number, or two as [height, width]"),
        ("[model]\ninput_size = 0\n", "line 4: model.input_size = 0: expected at least 33"),
        ("[model]\ninput_size = [64, 32]\n", "line 4: model.input_size = [64, 32]: expected at least 33"),
        ("[records]\nimage_size = [300, 4097]\n", "[300, 4097]: expected one number, or two as [height, width]"),
        (
            "[records]\nfindings = { small_box = 'dorp' }\n",
            "line 4: records.findings.small_box = 'dorp': expected one of fail, drop, fix; did you mean drop?",
        ),
        (
            "[records]\nfindings = { no_xmll = 'fix' }\n",
            "line 4: records.findings.no_xmll: unknown kind of finding; did you mean no_xml?",
        ),
        (
            "[records.findings]\nno_xml = 'fix'\ncats = 'drop'\n",
            "line 3: records.findings.cats: unknown kind of finding; docs/findings.md has them all",
        ),
        (
            "[records]\nfindings.no_image = 'fix'\n",
            "line 4: records.findings.no_image = 'fix': expected one of fail, drop, for nothing mends no_image",
        ),
        ("[records]\nfindings = 'drop'\n", "line 4: records.findings = 'drop': expected table, got str (What to do"),
        ("[runner]\nstages = { train = 5 }\n", "runner.stages = {'train': 5}: expected str, got int (Where single"),
        ("[train]\nlearning_rate = inf\n", "line 4: train.learning_rate = inf: expected a number of ordinary size"),
        ("[train]\nsteps = 4294967296\n", "line 4: train.steps = 4294967296: expected a number of ordinary size"),
        ("[model]\ninput_size = [300, nan]\n", "line 4: model.input_size = [300, nan]: expected a number of ordinary"),
    ],
)
def test_a_fault_is_named_with_line_and_remedy(tmp_path, text, words):
    found = faults(tmp_path, BASE + text)
    assert len(found) == 1 and words in found[0]


def test_an_unknown_section_is_named_with_those_that_there_are(tmp_path):
    found = faults(tmp_path, BASE + "[trian]\nsteps = 5\nother = 6\n")
    assert len(found) == 1 and found[0].startswith("line 3: unknown section [trian]; sections are dataset, resize,")
    assert found[0].endswith("; did you mean train?")


def test_a_key_outside_of_a_section_is_a_fault(tmp_path):
    found = faults(tmp_path, "steps = 5\n" + BASE)
    assert len(found) == 1 and found[0].startswith("line 1: steps = 5 stands outside of a section; sections are")


def test_all_faults_come_at_once_each_once(tmp_path):
    findings = "findings = { no_xml = 'x', no_objects = 'fix', no_box = 'y' }"
    text = BASE + f"[train]\nstpes = 5\nsteps = 'x'\n[records]\n{findings}\n[nope]\n"
    found = faults(tmp_path, text, "train.bacth_size=3", "nonsense")
    places = [line.partition(": ")[0] for line in found]
    assert sorted(places) == [
        "--set nonsense",
        "--set train.bacth_size=3",
        "line 4",
        "line 5",
        "line 7",
        "line 7",
        "line 8",
    ]


def test_a_key_with_several_findings_names_each_of_the_wrong_ones(tmp_path):
    found = faults(tmp_path, BASE + "[records]\nfindings = { no_xml = 'x', no_objects = 'fix', no_box = 'y' }\n")
    assert [line.partition(":")[2].partition(":")[0] for line in found] == [
        " records.findings.no_xml = 'x'",
        " records.findings.no_box = 'y'",
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["fail", "drop", "fix"])
def test_a_policy_is_right_exactly_where_the_kind_has_it(tmp_path, kind, policy):
    text = BASE + f"[records]\nfindings = {{ {kind} = '{policy}' }}\n"
    if policy == "fix" and not KINDS[kind].fix:
        assert len(faults(tmp_path, text)) == 1
    else:
        assert load(tmp_path, text).records.findings == {kind: policy}


@pytest.mark.parametrize("classes", ['["cat", "cat"]', "[]", '["cat", " "]', "5", '"cat"'])
def test_classes_must_make_sense(tmp_path, classes):
    found = faults(tmp_path, f"[dataset]\nclasses = {classes}\n")
    assert len(found) == 1 and found[0].startswith("line 2: dataset.classes")


@pytest.mark.parametrize(
    "classes, words",
    [
        ('["caf\\u00e9", "cafe\\u0301"]', "names caf\u00e9 in two Unicode forms, which are the same text: keep one"),
        ('["cat\\ndog"]', "holds a line break"),
    ],
)
def test_classes_that_cannot_be_told_apart_or_written_in_a_line_are_faults(tmp_path, classes, words):
    found = faults(tmp_path, f"[dataset]\nclasses = {classes}\n")
    assert len(found) == 1 and found[0].startswith("line 2: dataset.classes") and words in found[0]


@pytest.mark.parametrize(
    "aliases, words",
    [
        ("Cat = 'cta'", "'Cat' = 'cta': there is no class cta in dataset.classes; did you mean cat?"),
        ("dog = 'cat'", "'dog' = 'cat': dog is itself in dataset.classes: take it out there, or remove the alias"),
        ("cat = 'cat'", "'cat' = 'cat': a name needs no alias to itself"),
        ("Cat = ''", "expected two names"),
        ("' ' = 'cat'", "expected two names"),
        ("'cafe\u0301' = 'caf\u00e9'", "a name needs no alias to itself, in whatever Unicode form"),
        ("'cafe\u0301' = 'dog'", "caf\u00e9 is itself in dataset.classes".replace("\u00e9", "e\u0301")),
        ("'e\u0301' = 'cat', '\u00e9' = 'dog'", "the same name in another Unicode form is an alias for cat"),
    ],
)
def test_an_alias_leads_from_another_name_to_a_class(tmp_path, aliases, words):
    found = faults(tmp_path, f'[dataset]\nclasses = ["cat", "dog", "caf\u00e9"]\naliases = {{ {aliases} }}\n')
    assert len(found) == 1 and found[0].startswith("line 3: dataset.aliases: ") and words in found[0]


def test_an_alias_may_be_written_in_any_unicode_form(tmp_path):
    text = '[dataset]\nclasses = ["caf\u00e9"]\naliases = { "the caf\u00e9" = "cafe\u0301" }\n'
    assert load(tmp_path, text).dataset.aliases == {"the caf\u00e9": "cafe\u0301"}


def test_a_file_without_classes_says_how_to_name_them(tmp_path):
    found = faults(tmp_path, "[dataset]\nphotos = 'x'\n")
    assert len(found) == 1 and found[0].endswith('classes = ["raccoon"]')


def test_overrides_win_and_are_typed(tmp_path):
    found = load(tmp_path, BASE, "train.steps=7", "model.input_size=[192, 320]", "model.architecture=ssd_inception_v2")
    assert (found.train.steps, found.model.input_size) == (7, [192, 320])
    assert found.model.architecture == "ssd_inception_v2"


def test_an_override_may_be_any_text_and_needs_no_quotes(tmp_path):
    found = load(tmp_path, BASE, "model.checkpoint=a = b", "dataset.photos = /photos of 2019 ", 'runner.python36="5"')
    assert (found.model.checkpoint, found.dataset.photos, found.runner.python36) == ("a = b", "/photos of 2019", "5")


def test_an_override_mends_what_the_file_has_wrong(tmp_path):
    assert load(tmp_path, BASE + "[train]\nsteps = 'x'\n", "train.steps=3").train.steps == 3


def test_the_last_of_two_equal_overrides_wins(tmp_path):
    assert load(tmp_path, BASE, "train.steps=3", "train.steps=4").train.steps == 4


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.steps", "must look like section.key=value"),
        ("steps=5", "must look like section.key=value"),
        ("train.stpes=5", "unknown key train.stpes; did you mean train.steps?"),
        ("runner.use=dokcer", "expected one of auto, docker, local; did you mean docker?"),
        ("train.steps=4.5", "train.steps = 4.5: expected int, got float"),
    ],
)
def test_a_fault_of_an_override_names_the_override(tmp_path, override, words):
    found = faults(tmp_path, BASE, override)
    assert len(found) == 1 and found[0].startswith(f"--set {override}: ") and words in found[0]


@given(st.text(max_size=40))
def test_no_override_makes_a_traceback(tmp_path_factory, override):
    try:
        load(tmp_path_factory.mktemp("config"), BASE, override)
    except BadInput as error:
        assert override in str(error)


NANO = BASE + '[hosts.nano]\ndocker = "ssh://me@nano"\n'


def test_hosts_have_names_and_keys_of_their_own(tmp_path):
    found = load(tmp_path, NANO + 'l4t = "32.7.1"\n[hosts.big-pc]\ndocker = "ssh://pc"\n', "hosts.nano.l4t=32.6.1")
    assert list(found.hosts) == ["nano", "big-pc"]
    assert (found.hosts["nano"].docker, found.hosts["nano"].l4t) == ("ssh://me@nano", "32.6.1")
    assert found.hosts["big-pc"] == schema.HostSection(docker="ssh://pc")


def test_a_host_can_be_stated_by_overrides_alone(tmp_path):
    found = load(tmp_path, BASE, "hosts.nano.docker=ssh://me@nano", "runner.stages={detect='nano'}")
    assert found.hosts["nano"].docker == "ssh://me@nano"
    assert found.runner.stages == {"detect": "nano"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            BASE + "[hosts.nano]\n",
            "line 3: [hosts.nano] is empty: hosts.nano.docker says where its Docker daemon is",
        ),
        (NANO + "dokcer = 'x'\n", "line 5: unknown key hosts.nano.dokcer; did you mean hosts.nano.docker?"),
        (NANO + "l4t = 32\n", "line 5: hosts.nano.l4t = 32: expected str, got int"),
        (BASE + "[hosts.nano]\nl4t = '32.7.1'\n", "[hosts.nano]: hosts.nano.docker is missing: where its Docker"),
        (BASE + "[hosts.nano]\ndocker = ''\n", "[hosts.nano]: hosts.nano.docker is missing: where its Docker"),
        (BASE + "[hosts.nano]\ndocker = 5\nl4t = '32.7.1'\n", "line 4: hosts.nano.docker = 5: expected str, got int"),
        (BASE + "[hosts.local]\ndocker = 'ssh://x'\n", "[hosts.local]: a host cannot be called local"),
        (BASE + "[hosts]\nnano = 'ssh://x'\n", "line 3: unknown section [hosts]; sections are"),
        (
            NANO + "[runner]\nstages = { train = 'nanoo' }\n",
            "line 6: runner.stages.train = 'nanoo': expected one of auto, docker, local, nano; did you mean nano?",
        ),
    ],
)
def test_a_fault_of_a_host_names_the_host(tmp_path, text, words):
    found = faults(tmp_path, text)
    assert len(found) == 1 and words in found[0]


def test_broken_toml_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="not valid TOML.*line 1"):
        load(tmp_path, "[dataset\n")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(BadInput, match="init PHOTOS"):
        reader.load(tmp_path / "detector.toml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[train]\nsteps = 5\n# caf\xe9\n", r"is not UTF-8 text \(line 3\): save it as UTF-8"),
        (BASE.encode("utf-16"), r"is not UTF-8 text \(line 1\)"),
        (BASE.encode() + b"\0", "is not valid TOML: .*line 3"),
        (b"#" * (reader.MOST_BYTES + 1), "has more than 262144 bytes: it is no detector.toml"),
        (b"[train]\naugmentation = " + b"[" * 100000, "is not valid TOML: its lists or tables are nested too deeply"),
        (b"[train]\nsteps = " + b"9" * 100000, "detector.toml"),
        (b"[" + b".".join([b"a"] * 50000) + b"]", "is not valid TOML: its lists or tables are nested too deeply"),
    ],
    ids=["latin-1", "utf-16", "nul", "huge", "nested", "digits", "dots"],
)
def test_a_file_that_is_no_config_is_one_sentence(tmp_path, content, words):
    file = tmp_path / "detector.toml"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        reader.load(file)
    assert len(str(caught.value)) < 1000


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(BadInput, match="is a folder, pipe or device: name a file with --config FILE"):
            reader.load(path)


def test_a_byte_order_mark_and_windows_line_ends_are_passed_over(tmp_path):
    file = tmp_path / "detector.toml"
    file.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert reader.load(file).dataset.classes == ["cat"]


def test_of_thousands_of_faults_the_first_are_told_and_the_others_counted(tmp_path, monkeypatch):
    searched = []
    for module in (checks, entries):
        monkeypatch.setattr(module, "did_you_mean", lambda *words: searched.append(words) or "")
    text = BASE + "[train]\n" + "".join(f"unknown_{number} = 1\n" for number in range(2000))
    found = faults(tmp_path, text + "".join(f"[unknown_{number}]\n" for number in range(2000)))
    assert len(found) == MOST_FAULTS + 1 and found[-1] == f"and {4000 - MOST_FAULTS} more"
    assert found[0].startswith("line 2004: unknown section [unknown_0]")
    assert len(searched) <= 2 * MOST_FAULTS


@pytest.mark.parametrize("key", [key for key in schema.keys() if key.plain_type is float], ids=lambda key: key.name)
@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_no_key_takes_what_is_no_number(tmp_path, key, value):
    assert "expected a number of ordinary size" in faults(tmp_path, BASE, f"{key.section}.{key.name}={value}")[0]


VALUES = ["inf", "nan", "-1", "1e400", "9" * 5000, "[" * 5000, "{a = {b = 1}}", "[[1]]", "true", "''", "1979-05-27",
          "'\\u0000'", "[nan]", "{a = inf}", '"' + "x" * 100000 + '"']  # fmt: skip


@pytest.mark.parametrize("key", schema.keys(), ids=lambda key: f"{key.section}.{key.name}")
def test_no_value_of_any_key_makes_a_traceback(tmp_path, key):
    section = key.section.replace("NAME", "nano")
    for value in VALUES:
        try:
            load(tmp_path, BASE, f"{section}.{key.name}={value}")
        except BadInput as error:
            assert len(str(error)) < 2000
        if key.section != "dataset" and len(value) < 20:
            with contextlib.suppress(BadInput):
                load(tmp_path, f"{BASE}[{section}]\n{key.name} = {value}\n")


def test_a_run_of_few_steps_contradicts_nothing_that_init_wrote(tmp_path):
    for settings in (CPU_SETTINGS, GPU_SETTINGS):
        text = detector_toml({("dataset", "classes"): ["cat"], **settings}, "")
        assert load(tmp_path, text, "train.steps=1").train.steps == 1
    old = BASE + "[train]\nsteps = 2000\nwarmup_steps = 200\nevaluate_every = 500\n"  # as it was written before
    assert load(tmp_path, old, "train.steps=20").train.warmup_steps == 200


@pytest.mark.parametrize("settings", [CPU_SETTINGS, GPU_SETTINGS])
@pytest.mark.parametrize("name", ["cat", 'qu"ote', "back\\slash", "고양이", "a = b # c"])
def test_what_init_writes_is_read_back(tmp_path, settings, name):
    text = detector_toml({("dataset", "classes"): [name], **settings}, "A note\nof two lines")
    found = load(tmp_path, text)
    assert found.dataset.classes == [name]
    assert found.train.steps == settings["train", "steps"]


@pytest.mark.parametrize("name", ["Cone", "traffic cone", 'qu"ote', "a.b", "고깔", "del\x7f"])
def test_aliases_are_written_as_toml_and_advice_as_a_comment(tmp_path, name):
    values = {("dataset", "classes"): ["cone"], ("dataset", "aliases"): {name: "cone"}}
    text = detector_toml(values, "", {("dataset", "boxes"): 'First\nboxes = "xywh"'})
    assert load(tmp_path, text).dataset.aliases == {name: "cone"}
    assert '# First\n# boxes = "xywh"\n# boxes = "auto"\n' in text


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


def test_lines_are_found_in_every_way_to_write_toml(tmp_path):
    text = "train.stpes = 1\n" + BASE + "[model]\n'archtecture' = 1\n[ records ]\n  findngs.a = 'fix'\n"
    assert [line.partition(": ")[0] for line in faults(tmp_path, text)] == ["line 1", "line 5", "line 7"]


def test_a_key_tells_the_words_that_it_takes():
    words = {f"{key.section}.{key.name}": key.words for key in schema.keys() if key.words}
    assert words == {
        "dataset.boxes": ("auto", "corners", "xywh", "relative"),
        "dataset.sizes": ("xml", "photo"),
        "records.split": ("auto", "hash", "folders", "imagesets"),
        "evaluate.split": ("validation", "test"),
        "records.encoding": ("png", "jpeg"),
        "records.findings": ("fail", "drop", "fix"),
        "model.architecture": schema.ARCHITECTURES,
        "convert.to": ("uff", "onnx"),
        "build_engine.source": ("uff", "onnx", "boxes"),
        "build_engine.precision": ("fp32", "fp16", "int8"),
        "detect.backend": ("reference", "tensorrt", "tensorflow"),
        "runner.use": ("auto", "docker", "local"),
    }


def test_every_key_is_documented():
    assert all(key.meaning for key in schema.keys())
    assert len({(key.section, key.name) for key in schema.keys()}) == len(list(schema.keys())) > 30
