"""The command line as users and CI meet it: exit codes, JSON, help, init."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from invoke import Collection

from nanoforge import dev_tasks
from nanoforge.cli import command
from nanoforge.command_line import CARE, GROUPS, CommandLine
from nanoforge.commands import start, status
from nanoforge.commands.options import StageOptions
from nanoforge.config.reader import load
from nanoforge.errors import BadInput
from nanoforge.pipeline.build import build
from nanoforge.runners.contract import Outcome

CLONE = Path(__file__).resolve().parents[2]


def run(*arguments, cwd):
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "nanoforge", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120"},
    )


def loaded_tasks():
    """The tasks, loaded anew: Invoke takes the help texts out of a task when it first reads them."""
    importlib.reload(dev_tasks)
    spec = importlib.util.spec_from_file_location("tasks_under_test", CLONE / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Collection.from_module(module)


@pytest.fixture(scope="module")
def commands():
    """The options of each task, by the task's name on the command line."""
    loaded = loaded_tasks()
    return {loaded.transform(name): task.get_arguments() for name, task in loaded.tasks.items()}


@pytest.fixture
def help_of(capsys):
    """What `./run WORDS` prints where WORDS ask for help, without a process for each."""

    def shown(*words):
        CommandLine(namespace=loaded_tasks(), binary="run").run(["run", *words], exit=False)
        return capsys.readouterr().out

    return shown


def test_the_documented_tasks_are_there(commands):
    wanted = (
        "init demo resize records train evaluate preview tensorboard export audit convert detect build status explain"
    )
    assert {*wanted.split(), "doctor", "clean", "gc", "report", "test"} <= set(commands)


def test_the_list_of_tasks_is_what_the_command_prints(commands):
    listed = run("--list", cwd=CLONE).stdout
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "} == set(
        commands
    )


def test_every_task_has_help_with_an_example(commands, help_of):
    for name in commands:
        assert f"Example: ./run {name}" in help_of("help", name), name


def test_every_option_of_every_task_has_a_help_text(commands):
    options = [(name, option) for name, found in commands.items() for option in found]
    assert len(options) > 100 and [f"{name} {option.name}" for name, option in options if not option.help] == []


def test_an_option_without_a_help_text_would_be_found():
    @command(CARE)
    def bare(_c, colour=""):
        """A task."""

    assert [option.name for option in bare.get_arguments() if not option.help] == ["colour"]


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_a_tasks_help_is_shown_wherever_it_is_asked_for(commands, help_of, asked):
    for number, name in enumerate(commands):
        forms = ((asked, name), (name, asked), (name, "something", asked), (name, "--config", "x", asked))
        words = forms[number % len(forms)]
        assert help_of(*words).startswith(f"Usage: ./run {name}"), words


def test_help_without_a_task_shows_every_task_in_a_group_and_none_of_invokes_options(commands, help_of):
    overview = help_of("help")
    assert help_of("--help") == help_of("-h") == help_of() == overview
    lines = overview.splitlines()
    assert "./run demo" in lines[2] and "./run init PHOTOS" in lines[3]
    assert sorted(line.split()[0] for line in lines[5:] if line.startswith("  ")) == sorted(commands)
    assert all(f"{group.title}: {group.meaning}" in lines for group in GROUPS)
    assert "sudo" not in overview and "--" not in "".join(lines[:-1])


def test_a_letter_means_the_same_everywhere_and_h_is_help(commands):
    meanings = {
        (letter, option.names[0]) for options in commands.values() for option in options for letter in option.nicknames
    }
    letters = [letter for letter, _ in meanings]
    assert len(letters) > 3 and len(set(letters)) == len(letters) and "h" not in letters


def test_every_stage_task_has_a_dry_run_and_overrides(help_of):
    stages = "resize records train evaluate preview export audit convert bundle build-engine bench-engine detect"
    for name in ["demo", "build", "check-data", *stages.split()]:
        assert "--dry-run" in help_of("help", name) and "--set" in help_of("help", name), name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "no task trian; did you mean train?"),
        (["help", "trian"], "no task trian; did you mean train?"),
        (["train", "--nonsense"], "no option --nonsense"),
        (["--nonsense"], "no option --nonsense"),
        (["init", "-o", "x"], "no option -o"),
        (["init"], "init needs PHOTOS: `./run help init`"),
        (["train", "--set"], "--set needs a value"),
        (["view", "--port", "abc"], "--port abc: expected a whole number"),
        (["view", "nowhere", "else", "--port", "0"], "nowhere: name TFRecord files, or a folder"),
        (["view", "--nonsense"], "no option --nonsense"),
        (["records", "--limit", "1.5"], "--limit 1.5: expected a whole number"),
        (["status"], "init PHOTOS"),
        (["status", "--config", "nowhere.toml"], "nowhere.toml"),
        (["init", "nowhere"], "is not a folder"),
        (["audit", "--graph", "nowhere.pb"], "nowhere.pb"),
        (["convert", "--graph", "nowhere.pb", "--out", "x"], "nowhere.pb"),
        (["convert", "--graph", "nowhere.pb", "--out", "x", "--to", "tflite"], "uff or onnx, not tflite"),
        (["test", "--suite", "kitchen"], "kitchen"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(tmp_path, arguments, words):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_missing_python36_ends_with_3_and_says_how_to_get_one(tmp_path):
    (tmp_path / "detector.toml").write_text('[dataset]\nclasses = ["a"]\nrendered_pictures = 1\n')
    graph = tmp_path / "g.pb"
    graph.write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-m", "nanoforge", "audit", "--graph", str(graph), "--runner", "local"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")]),
            "NANOFORGE_PYTHON36": "/nowhere/python",
        },
    )
    assert done.returncode == 3
    assert "pyenv install 3.6.15" in done.stderr and "Traceback" not in done.stderr


def test_explain_of_an_unknown_stage_lists_the_stages(photos):
    with pytest.raises(BadInput, match="records, check-data, train"):
        status.explain(photos.project(), "trian")


def test_explain_prints_every_reason_and_says_whether_it_would_run(home, photos, capsys):
    assert status.explain(photos.project(), "records") is True
    assert "it was never made" in capsys.readouterr().out
    build(photos.project(), "records")
    assert status.explain(photos.project(), "records") is False
    capsys.readouterr()
    assert status.explain(photos.project("records.seed=1", "records.limit=2"), "records") is True
    said = capsys.readouterr().out
    assert "seed changed from 0 to 1" in said and "limit changed from 0 to 2" in said


def test_status_json_is_on_standard_output_alone(photos):
    done = run("status", "--config", str(photos.folder), "--json", cwd=photos.folder)
    assert done.returncode == 0
    assert [row["name"] for row in json.loads(done.stdout)["stages"]][:3] == ["resize", "records", "check-data"]


def test_a_shell_in_an_environment_that_is_an_image_only_is_refused_without_a_daemon(tmp_path):
    refused = run("shell", "train-gpu", "--runner", "local", cwd=tmp_path)
    assert refused.returncode == 2 and "train-gpu is an image only: use --runner docker" in refused.stderr


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((), "needs --input X.npy"),
        (("--input", "x.npy"), "and --output Y.npz"),
        (("--input", "left=", "--output", "y.npz"), "an --input names no file"),
        (("--input", "x.npy", "--output", "there.npz"), "exists already"),
        (("--input", "x.npy", "--output", "y.npz"), "there is no model.uff"),
    ],
)
def test_what_run_uff_lacks_is_said_before_anything_runs(tmp_path, arguments, told):
    (tmp_path / "there.npz").touch()
    refused = run("run-uff", "model.uff", *arguments, "--runner", "local", cwd=tmp_path)
    assert refused.returncode == 2 and told in refused.stderr, refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"]


def test_the_second_opinion_is_for_projects_too(photos, tmp_path):
    (tmp_path / "package").mkdir()
    here = ("convert", "--dry-run", "--runner", "local")
    assert run(*here, "--nvidia-uff", "../package", cwd=photos.folder).returncode == 0
    refused = run(*here, "--nvidia-uff", "../none", cwd=photos.folder)
    assert refused.returncode == 2 and "none: name the folder or wheel" in refused.stderr


def test_a_dry_run_runs_nothing(photos):
    done = run("build", "--dry-run", "--runner", "local", "--set", "train.steps=5", cwd=photos.folder)
    assert done.returncode == 0
    assert "records      would run: it was never made" in done.stderr
    assert not (photos.folder / "build" / "store").exists()


SURVEY = {
    "pictures": 3,
    "annotations": 3,
    "objects": {"dog": 5, "cat": 9},
    "classes": {"dog": 4, "cat": 9},
    "forms": {},
    "variants": [],
    "sizes": {},
    "labelled": {"pictures": 3, "kept": 3},
    "problems": {},
    "patterns": [],
    "split": {"source": "hash", "pictures": {"train": 0, "validation": 0, "test": 0, "by chance": 3}},
}


@pytest.fixture
def survey(monkeypatch):
    """Stands in for the survey stage, which tests/data runs for real; what it finds can be changed."""
    found = dict(SURVEY)

    def run_adhoc(_work, _console, out, _places):
        out.mkdir(parents=True)
        (out / "survey.json").write_text(json.dumps(found))
        return Outcome()

    monkeypatch.setattr(start, "run_adhoc", run_adhoc)
    return found


@pytest.fixture
def make_init(survey, photos, tmp_path):
    """Run init with what the survey finds; the file that it wrote."""

    def run_init(**found):
        survey.update(found)
        return start.init(str(photos.folder / "photos"), str(tmp_path / "mine"), force=True, options=StageOptions())

    return run_init


def test_init_writes_a_config_that_loads(survey, photos, tmp_path):
    target = start.init(str(photos.folder / "photos"), str(tmp_path / "mine"), force=False, options=StageOptions())
    found = load(target)
    assert found.dataset.classes == ["cat", "dog"]
    assert Path(found.dataset.photos) == photos.folder / "photos" / "JPEGImages"
    assert Path(found.dataset.annotations) == photos.folder / "photos" / "Annotations"


def test_init_names_the_classes_that_records_keep(make_init, capsys):
    objects, kept = {"dog": 5, "cat": 9, "cow": 2}, {"dog": 4, "cat": 9, "cow": 0}
    assert load(make_init(objects=objects, classes=kept)).dataset.classes == ["cat", "dog"]
    said = capsys.readouterr().err
    assert "  cat       9 boxes\n  dog       4 boxes, 1 more left out\n" in said
    assert "No box of cow can be used: not in dataset.classes." in said


def test_init_keeps_the_split_that_the_dataset_brings(make_init, capsys):
    pictures = {"train": 120, "validation": 30, "test": 20, "by chance": 0}
    target = make_init(split={"source": "folders", "pictures": pictures})
    assert load(target).records.split == "folders"
    assert "by its folders is kept: train 120, validation 30, test 20 pictures." in capsys.readouterr().err
    assert load(make_init(split=SURVEY["split"])).records.split == "hash"


def test_init_tells_of_lists_that_may_be_a_split(make_init, photos, capsys):
    for name in ("Train.txt", "val.txt"):
        (photos.folder / "photos" / name).write_text("a")
    make_init()
    said = capsys.readouterr().err
    assert f"There is a train.txt in {photos.folder / 'photos'}" in said and "dataset.image_sets" in said
    make_init(split={"source": "folders", "pictures": {"train": 1, "validation": 1}})
    assert "train.txt" not in capsys.readouterr().err


def test_init_shows_each_kind_of_problem_with_its_first_example(make_init, capsys):
    problems = {
        "flipped_box": {"count": 3, "dropped": 0, "first": "a.xml, line 2 (object 1): flipped. Exchange the numbers."},
        "no_xml": {"count": 1, "dropped": 1, "first": "b.jpg: no XML. Label it."},
    }
    make_init(problems=problems, labelled={"pictures": 3, "kept": 2})
    said = capsys.readouterr().err
    first, second = (
        said.index("  1 no_xml, for instance\n      b.jpg"),
        said.index("  3 flipped_box, for instance\n      a.xml"),
    )
    assert first < second and "1 of 3 labelled photos would be left out" in said


def test_init_says_why_no_xml_names_an_object(make_init):
    with pytest.raises(BadInput, match="names an object: label the photos first"):
        make_init(objects={}, classes={})
    first = {"count": 3, "dropped": 3, "first": "a.xml: it is in the format of another tool. Export VOC."}
    with pytest.raises(BadInput, match="names an object: a.xml: it is in the format of another tool"):
        make_init(objects={}, classes={}, problems={"damaged_xml": first})


def test_init_does_not_merge_names_that_are_alike_but_says_how(make_init, capsys):
    counts = {"cone": 40, "Cone": 2, "traffic_cone": 7, "traffic cone": 1}
    variants = [["cone", "Cone"], ["traffic_cone", "traffic cone"]]
    target = make_init(objects=counts, classes=counts, variants=variants)
    assert load(target).dataset.classes == sorted(counts) and load(target).dataset.aliases == {}
    line = 'aliases = { Cone = "cone", "traffic cone" = "traffic_cone" }'
    said = capsys.readouterr().err
    assert "cone (40), Cone (2); traffic_cone (7), traffic cone (1)" in said and line in said
    text = target.read_text(encoding="utf-8").replace("\n# " + line, "\n" + line)
    target.write_text(text.replace(json.dumps(sorted(counts)), '["cone", "traffic_cone"]'), encoding="utf-8")
    assert load(target).dataset.aliases == {"Cone": "cone", "traffic cone": "traffic_cone"}


def test_init_proposes_the_key_that_reads_a_pattern_and_does_not_set_it(make_init, capsys):
    pattern = {
        "what": "They look like x, y",
        "examples": ["a.xml: 5"],
        "remedy": "Set it",
        "key": "boxes",
        "value": "xywh",
    }
    target = make_init(patterns=[pattern])
    assert load(target).dataset.boxes == "auto"
    assert '# They look like x, y. To read them so:\n# boxes = "xywh"\n# boxes = "auto"\n' in target.read_text()
    assert "warning: They look like x, y:\n    a.xml: 5\n  Set it. What follows is" in capsys.readouterr().err
    make_init(patterns=[dict(pattern, key=None, value=None)])
    assert "  Set it. `./run records` refuses them until then.\n" in capsys.readouterr().err


def test_init_stays_short_with_a_large_and_bad_dataset(make_init, capsys):
    counts = {f"class {number}": number + 1 for number in range(300)}
    kinds = {f"kind_{number}": {"count": 9999, "dropped": 1, "first": "a: b. C."} for number in range(28)}
    variants = [[f"class {number}", f"class {number + 1}"] for number in range(0, 300, 2)]
    target = make_init(objects=counts, classes=counts, problems=kinds, variants=variants)
    said = capsys.readouterr().err
    assert len(load(target).dataset.classes) == 300
    assert len(said.splitlines()) < 60 and max(map(len, said.splitlines())) < 1000
    assert "and 280 more classes with" in said and "and 142 more" in said


def test_init_writes_relative_paths_inside_the_project(survey, photos):
    target = start.init(str(photos.folder / "photos"), str(photos.folder), force=True, options=StageOptions())
    assert load(target).dataset.photos == "photos/JPEGImages"


@pytest.mark.parametrize("force", [False, True])
def test_init_writes_through_no_link(survey, photos, tmp_path, force):
    link = tmp_path / "detector.toml"
    link.symlink_to(tmp_path / "usb" / "detector.toml")
    with pytest.raises(BadInput, match="is a link"):
        start.init(str(photos.folder / "photos"), str(tmp_path), force=force, options=StageOptions())
    assert link.is_symlink()


def test_init_overwrites_only_when_told(survey, photos):
    before = (photos.folder / "detector.toml").read_text()
    with pytest.raises(BadInput, match="--force"):
        start.init(str(photos.folder / "photos"), str(photos.folder), force=False, options=StageOptions())
    assert (photos.folder / "detector.toml").read_text() == before
