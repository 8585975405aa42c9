"""What needs a Jetson: where it may run, what is said where there is none, and the commands around it."""

import json

import pytest

from nanoforge.commands import board
from nanoforge.commands.options import StageOptions
from nanoforge.commands.status import all_statuses, explain
from nanoforge.containers import jetpack
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.pipeline.build import build
from nanoforge.pipeline.fingerprint import recipe
from nanoforge.pipeline.stages import STAGES, row_in, upstream

AFTER_CONVERT = ["bundle", "build-engine", "bench-engine"]


@pytest.fixture
def on_a_board(monkeypatch):
    """This machine counts as a Jetson; its Python is the tests' own, as of every environment here."""
    monkeypatch.setattr(jetpack, "device_l4t", lambda *_: "32.7.1")


@pytest.fixture
def on_a_workstation(monkeypatch):
    monkeypatch.setattr(jetpack, "device_l4t", lambda *_: None)
    monkeypatch.delenv("JETSON_PYTHON", raising=False)


def statuses(project):
    return {status.stage.name: status for status in all_statuses(project)}


@pytest.mark.usefixtures("on_a_workstation")
def test_on_a_workstation_a_stage_of_the_board_says_where_it_can_run_and_the_report_needs_none(home, photos, capsys):
    build(photos.project(), "report")
    assert not {*home.ran()} & {*AFTER_CONVERT}
    found = statuses(photos.project())
    assert found["report"].state == found["detect"].state == "fresh" and found["bundle"].state == "missing"
    for name in ("build-engine", "bench-engine"):
        assert found[name].state == "unknown"
        assert found[name].reasons == [
            f"{name} needs a Jetson: name one with --host (docs/remote.md), or run it on the board itself"
            " (docs/jetpack.md)."
        ]
    assert explain(photos.project(), "build-engine")
    assert "may run (unknown)" in capsys.readouterr().out


@pytest.mark.usefixtures("on_a_workstation")
def test_nothing_is_made_for_a_stage_that_cannot_run_here(home, photos):
    with pytest.raises(EnvironmentNotReady, match="bench-engine needs a Jetson|build-engine needs a Jetson"):
        build(photos.project(), "bench-engine")
    assert home.ran() == []


@pytest.mark.usefixtures("on_a_workstation")
def test_no_model_is_made_for_what_cannot_run_here(home, photos, monkeypatch):
    monkeypatch.chdir(photos.folder)
    with pytest.raises(EnvironmentNotReady, match="selftest needs a Jetson"):
        board.selftest("", "", StageOptions())
    with pytest.raises(EnvironmentNotReady, match="and this is none: name the board with --host"):
        board.install(str(photos.folder), "", "", False, StageOptions())
    assert home.ran() == []


@pytest.mark.usefixtures("on_a_board")
def test_on_the_board_itself_everything_is_made_in_order(home, photos):
    build(photos.project(), "bench-engine")
    assert home.ran()[-3:] == AFTER_CONVERT
    build(photos.project("detect.backend=tensorrt"), "detect")
    assert home.ran() == ["detect"]


@pytest.mark.slow
@pytest.mark.usefixtures("on_a_board")
def test_the_report_shows_the_engine_that_was_built_of_its_model_and_never_builds_one(home, photos, capsys):
    def engine():
        artifact = build(photos.project(), "report")
        return artifact.recipe["inputs"].get("build-engine")

    assert engine() is None
    made = build(photos.project(), "build-engine")
    assert explain(photos.project(), "report") and "input build-engine was added" in capsys.readouterr().out
    assert engine() == made.digest
    measured = build(photos.project(), "bench-engine")
    assert build(photos.project(), "report").recipe["inputs"]["bench-engine"] == measured.digest
    home.ran()
    assert engine() == made.digest and home.ran() == [], "fresh, also where no Jetson is"
    assert build(photos.project("train.steps=9"), "report").recipe["inputs"].keys().isdisjoint({"build-engine"})
    assert engine() == made.digest, "each model has its own"
    (made.folder / "out.txt").chmod(0o644)
    (made.folder / "out.txt").write_text("cut off")
    assert engine() is None


@pytest.mark.usefixtures("on_a_workstation")
def test_what_a_user_names_stands_for_a_jetson(home, photos, monkeypatch):
    monkeypatch.setenv("JETSON_PYTHON", "/opt/jetpack/bin/python3")
    build(photos.project(), "build-engine")
    assert home.ran()[-1] == "build-engine"


def test_a_host_is_for_the_commands_stage_and_for_what_needs_a_jetson_before_it(photos):
    config = photos.folder / "detector.toml"
    config.write_text(config.read_text() + '[hosts.nano]\ndocker = "ssh://me@nano"\nenvironment = "jetson"\n')
    for stage in ("bench-engine", "detect"):
        placement = StageOptions(str(config), runner="local", host="nano").project(stage).placement
        places = {name: placement.place(name) for name in (stage, "build-engine", "bundle", "train")}
        assert places == {stage: "nano", "build-engine": "nano", "bundle": "local", "train": "local"}


@pytest.mark.parametrize(
    ("backend", "environment", "also", "inputs"),
    [
        ("reference", "data", ("jetson",), {"model": "convert"}),
        ("tensorrt", "jetson", (), {"engine": "build-engine"}),
        ("tensorflow", "train", (), {"model": "convert", "graph": "export"}),
    ],
)
def test_detect_runs_where_its_backend_is_on_what_that_computes_with(photos, backend, environment, also, inputs):
    project = photos.project(f"detect.backend={backend}")
    row = project.stage("detect")
    assert (row.environment, row.also) == (environment, also)
    sources = {name: source.stage for name, source in row.inputs(project.context).items()}
    assert sources == {**inputs, "records": "records"}
    assert row.parameters(project.context)["backend"] == backend
    assert recipe(row, {}, {}, None)["locks"].keys() >= {f"docker/{environment}/requirements.lock"}
    assert ("build-engine" in upstream("report", project.context)) == (backend == "tensorrt")


def test_only_detect_varies(photos):
    context = photos.project().context
    assert [name for name, row in STAGES.items() if row_in(name, context) != row] == []


def test_calibration_pictures_travel_only_where_they_are_needed(photos):
    def pictures(*overrides):
        return STAGES["bundle"].parameters(photos.project(*overrides).context)["calibration_pictures"]

    assert [pictures(), pictures("build_engine.precision=int8")] == [0, 200]
    assert pictures("build_engine.precision=int8", "bundle.calibration_pictures=7") == 7


@pytest.mark.parametrize("source", ["onnx", "boxes"])
def test_an_engine_of_onnx_needs_the_onnx_model(photos, source):
    with pytest.raises(BadInput, match=f"build_engine.source = '{source}' needs the ONNX model.*convert.to = \"onnx\""):
        photos.project(f"build_engine.source={source}")
    photos.project(f"build_engine.source={source}", "convert.to=onnx")


# --- without a project


@pytest.fixture
def bundled(home, photos, monkeypatch, on_a_board):
    """A folder model/ that was made elsewhere, and a current folder with no detector.toml."""
    folder = photos.folder.parent / "elsewhere"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.uff").write_text("weights")
    monkeypatch.chdir(folder)
    home.behave(**{"build-engine": {"files": ["model.engine"]}, "bundle": {"files": ["detector.pyz"]}})
    return folder


def test_an_engine_is_built_of_a_bundle_alone(home, bundled, capsys):
    board.build_engine("model", "engine", "fp32", StageOptions(runner="local"))
    assert home.ran() == ["build-engine"]
    made = json.loads((bundled / "engine" / "model.engine").read_text())
    assert made["parameters"]["precision"] == "fp32" and list(made["inputs"]) == ["model"]
    assert str(bundled / "engine" / "model.engine") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("model", "", ""), "needs --out FOLDER"),
        (("model", "engine", "fp8"), "--precision takes fp32, fp16, int8, not fp8"),
        (("nothing", "engine", ""), "there is no .*nothing"),
        (("model", "model/engine", ""), "lies inside"),
    ],
)
@pytest.mark.usefixtures("bundled")
def test_what_build_engine_cannot_use_is_said_before_anything_runs(home, arguments, words):
    with pytest.raises(BadInput, match=words):
        board.build_engine(*arguments, StageOptions(runner="local"))
    assert home.ran() == []


def test_a_bundle_is_made_of_a_converted_graph_alone(home, bundled, capsys):
    board.bundle("model", "out", StageOptions(runner="local"))
    assert capsys.readouterr().out.strip() == str(bundled / "out" / "detector.pyz")
    with pytest.raises(BadInput, match="needs --out"):
        board.bundle("model", "", StageOptions(runner="local"))


def test_a_bundle_can_be_built_on_a_host_that_detector_toml_names(photos, bundled):
    config = photos.folder / "detector.toml"
    config.write_text(config.read_text() + '[hosts.nano]\ndocker = "ssh://me@nano"\n')
    placement = StageOptions(str(config), host="nano").placement("build-engine")
    assert placement.place("build-engine") == "nano"
    with pytest.raises(BadInput, match="no.*nona.*hosts are nano"):
        StageOptions(str(config), host="nona").placement("build-engine")
    with pytest.raises(BadInput, match="leave it out together with --graph"):
        StageOptions(str(config), host="nano").placement()


INSTALLER = """
import json
from stages import job

def main(work):
    if work.parameters["check"]:
        raise job.StageFailed("The detector is not as it was installed")
    told = {"done": ["copied " + work.inputs["model"]], "commands": ["detectnet " + repr(work.parameters)]}
    with open(work.out("install.json"), "w") as stream:
        json.dump(told, stream)

if __name__ == "__main__":
    job.run(main)
"""


@pytest.fixture
def installer(home, bundled):
    path = home.folder / "stages" / "jetson" / "install.py"
    path.write_text(INSTALLER)


@pytest.mark.usefixtures("installer")
def test_install_says_what_it_did_and_how_it_is_used(bundled, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "jetson-inference").mkdir()
    board.install("~/jetson-inference", "model", "", False, StageOptions())
    done, commands = capsys.readouterr().out.splitlines()
    assert done == f"copied {bundled / 'model'}" and "'name': 'detector'" in commands
    assert "~" not in commands and "jetson-inference" in commands


@pytest.mark.usefixtures("installer")
def test_install_takes_the_projects_model_and_name(home, photos, capsys):
    options = StageOptions(str(photos.folder), ["bundle.name=cones"], runner="local")
    home.behave(bundle={"files": ["model/model.uff"]})
    with pytest.raises(BadInput, match="There is no folder /opt/jetson-inference: "):
        board.install("/opt/jetson-inference", "", "", False, options)
    assert home.ran() == []  # nor is a model made for it
    board.install(str(photos.folder), "", "", False, options)
    assert home.ran()[-1] == "bundle"
    assert "'name': 'cones'" in capsys.readouterr().out


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "nano"}, "is to be a folder of nano: name its whole path"),
        ({"runner": "docker"}, "leave out --runner"),
    ],
)
def test_install_is_for_this_machine_or_a_folder_of_a_host(options, words):
    with pytest.raises(BadInput, match=words):
        board.install("jetson-inference", "model", "", False, StageOptions(**options))


SELFTEST = """
from stages import job

def main(work):
    with open(work.out("selftest.txt"), "w") as stream:
        stream.write("failed    CUDA\\n")
    raise job.StageFailed("1 of 2 checks failed")

if __name__ == "__main__":
    job.run(main)
"""


def test_a_selftests_list_is_there_whatever_it_says(home, bundled, capsys):
    (home.folder / "stages" / "jetson" / "selftest.py").write_text(SELFTEST)
    with pytest.raises(StageFailed, match="1 of 2 checks failed"):
        board.selftest("model", "", StageOptions(runner="local"))
    captured = capsys.readouterr()
    assert captured.out == "failed    CUDA\n" and f"to be sent back: {bundled / 'selftest'}" in captured.err
    with pytest.raises(BadInput, match="exists already and is not empty"):
        board.selftest("model", "", StageOptions(runner="local"))
