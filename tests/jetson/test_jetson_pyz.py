"""detector.pyz on a simulated board that has nothing else of Nanoforge's: an empty folder, an empty home, no clone."""

import argparse
import ast
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from conftest import CLONE, FAKES
from jetson_bundle import make_bundle, photo

from stages import pixels
from stages.bundle import code
from stages.jetson import board_command, terminal
from stages.job import BadInput, StageFailed
from stages.parameters import BenchEngineParameters, BuildEngineParameters, InstallParameters, LiveParameters

# Where numpy and OpenCV are, which JetPack's Python has.
LIBRARIES = os.path.dirname(os.path.dirname(np.__file__))


@pytest.fixture(scope="session")
def bundle(detector, tmp_path_factory):
    return make_bundle(detector, tmp_path_factory.mktemp("pyz"))


class BoardFolder:
    """A folder with detector.pyz in it, and ways to run that."""

    def __init__(self, bundle, folder):
        self.folder, self.home, self.pyz = folder / "here", folder / "home", folder / "here" / "detector.pyz"
        self.folder.mkdir()
        self.home.mkdir()
        shutil.copy(str(bundle / "detector.pyz"), str(self.pyz))

    def start(self, *arguments, cwd=None, ENVIRONMENT=(), **settings):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([FAKES, LIBRARIES]),
            "NANOFORGE_FAKE_FLATTEN_CONCAT": "built in",
            "NANOFORGE_FAKE_TENSORRT": "8.2.1",
        }
        environment.update(
            {"NANOFORGE_FAKE_" + name: str(value) for name, value in settings.items()}, **dict(ENVIRONMENT)
        )
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", str(self.pyz), *arguments], cwd=str(cwd or self.folder), env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        )  # fmt: skip

    def run(self, *arguments, code=0, **settings):
        """What it said, once it ended with that exit code."""
        child = self.start(*arguments, **settings)
        said = child.communicate()[0]
        assert child.returncode == code, said
        assert "Traceback" not in said
        return said

    def seen(self):
        return sorted(name for name in os.listdir(str(self.folder)) if not name.startswith("."))


@pytest.fixture
def board(bundle, tmp_path):
    return BoardFolder(bundle, tmp_path)


def test_an_engine_is_built_beside_it_and_not_built_again(board, tmp_path):
    other = tmp_path / "clone" / "stages"  # another Nanoforge, in which it is started
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    said = board.run("build-engine", cwd=tmp_path / "clone")
    assert "precision fp16" in said.splitlines()[-1] and CLONE not in said
    engine = board.folder / "engine-fp16"
    assert {"model.engine", "engine.json", "build.log", "model.json", "labels.txt"} <= set(os.listdir(str(engine)))
    assert board.seen() == ["detector.pyz", "engine-fp16"] and not os.listdir(str(board.home))
    assert not [name for name in os.listdir(str(board.folder)) if name.endswith(".work")]
    before = (engine / "engine.json").read_bytes()
    assert "is up to date" in board.run("build-engine")
    assert (engine / "engine.json").read_bytes() == before
    assert "built again: " in board.run("build-engine", TENSORRT="8.0.1")
    assert json.loads((engine / "engine.json").read_text())["tensorrt"].startswith("8.0.1")
    (board.folder / "a.png").write_bytes(pixels.encode_png(photo(120, 160)))
    said = board.run("detect", "a.png", "--threshold", "0.3", TENSORRT="8.0.1")
    (found,) = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert found["detections"]
    assert "built for TensorRT 8.0.1" in board.run("detect", "a.png", code=2).splitlines()[-1]


@pytest.mark.parametrize(
    "arguments, code, told",
    [
        ([], 2, "required: COMMAND"),
        (["fly"], 2, "invalid choice: 'fly'"),
        (["build-engine", "--workspace-mb", "0"], 2, "'0' is no whole number above 0"),
        (["build-engine", "--precision", "fp8"], 2, "invalid choice: 'fp8'"),
        (["build-engine", "--source", "onnx"], 2, "There is no .*model.onnx.*convert --to onnx"),
        (["detect", "x.jpg", "--threshold", "2"], 2, "'2' is no number from 0 to 1"),
        (["detect", "x.jpg", "--size", "720"], 2, "'720' is no size such as 1280x720"),
        (["bench"], 2, "There is no engine beside .*build it first.*build-engine"),
        (["bench", "--engine", "."], 2, "here holds no engine.json; is this the folder that build-engine made"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(board, arguments, code, told):
    said = board.run(*arguments, code=code)
    assert re.search(told, said.splitlines()[-1]), said


def test_a_build_that_fails_leaves_no_engine_but_its_log(board):
    said = board.run("build-engine", code=1, DIES="killed")
    assert said.splitlines()[-1].startswith("error: The builder was killed")
    assert board.seen() == ["detector.pyz"]
    assert (board.folder / ".engine-fp16.work" / "output" / "build.log").exists()


def test_a_device_without_memory_says_what_helps(board):
    said = board.run("build-engine", code=1, FREE_MB=10).splitlines()[-1]
    assert "out of memory" in said and "end the desktop" in said and "smaller workspace" in said


@pytest.fixture
def asked(bundle, tmp_path, monkeypatch, capsys):
    """Runs a command in this process, with a program that only notes its job; what it notes."""

    def run(module, *arguments, files=(), error=None):
        jobs = []

        def main(job):
            jobs.append(job)
            for name in files:
                with open(job.out(name), "w") as stream:
                    stream.write("{}")
            if error:
                raise error

        monkeypatch.setitem(sys.modules, "stages." + module, argparse.Namespace(main=main))
        room, _, name = ("stages." + module).rpartition(".")
        monkeypatch.setattr(sys.modules[room], name, sys.modules["stages." + module], raising=False)
        monkeypatch.chdir(str(tmp_path))
        shutil.copy(str(bundle / "detector.pyz"), str(tmp_path / "detector.pyz"))
        code = board_command.main(str(tmp_path / "detector.pyz"), list(arguments))
        return jobs[-1], code, capsys.readouterr().err

    return run


def test_what_build_engine_is_asked_for(asked, tmp_path):
    arguments = ["--precision", "fp32", "--workspace-mb", "32", "--source", "boxes", "--out", "other"]
    job, code, said = asked("jetson.build_engine", "build-engine", *arguments, files=["engine.json"])
    parameters = job.read(BuildEngineParameters)
    assert (parameters.source, parameters.precision, parameters.workspace_mb) == ("boxes", "fp32", 32)
    assert code == 0 and os.listdir(str(tmp_path / "other")) == ["engine.json"]
    job, code, said = asked("jetson.build_engine", "build-engine", "--precision", "fp32", files=["engine.json"])
    assert (
        os.listdir(str(tmp_path / "engine-fp32")) == ["engine.json"] and job.read(BuildEngineParameters).source == "uff"
    )


def test_what_bench_is_asked_for(asked, tmp_path):
    for name in ("engine-fp32", "engine-fp16"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "engine.json").write_text("{}")
    job, code, said = asked("jetson.bench_engine", "bench", "--runs", "50", files=["bench.json"])
    assert job.read(BenchEngineParameters) == (50, 20) and job.inputs["engine"] == str(tmp_path / "engine-fp16")
    assert code == 0 and os.listdir(str(tmp_path / "bench-engine-fp16")) == ["bench.json"]
    (tmp_path / "engine-fp16" / "engine.json").rename(tmp_path / "engine-fp16" / "other")
    job, code, said = asked("jetson.bench_engine", "bench", files=["bench.json"])
    assert job.inputs["engine"] == str(tmp_path / "engine-fp32")


def test_what_detect_is_asked_for(asked, tmp_path):
    (tmp_path / "engine-fp16").mkdir()
    (tmp_path / "engine-fp16" / "engine.json").write_text("{}")
    job, code, said = asked(
        "detect.live", "detect", "csi:0", "--sink", "window", "--sink", "mjpeg:8080", "--size", "640x480"
    )
    assert job.read(LiveParameters) == ("csi:0", ["window", "mjpeg:8080"], 0.5, "tensorrt", [480, 640], 30, 0)
    assert job.inputs == {"engine": str(tmp_path / "engine-fp16")} and job.output == str(tmp_path) and code == 0


@pytest.mark.parametrize("command, look_only", [("install", False), ("check", True)])
def test_what_install_is_asked_for(asked, tmp_path, command, look_only):
    job, code, said = asked("jetson.install", command, "inference")
    assert job.read(InstallParameters) == (str(tmp_path / "inference"), "cones", look_only)
    job, code, said = asked("jetson.install", command, "inference", "--name", "balls")
    assert job.read(InstallParameters).name == "balls" and code == 0


@pytest.mark.parametrize("error, expected", [(None, 0), (StageFailed("1 of 20 checks failed"), 1)])
def test_what_came_of_the_selftest_is_kept_whether_all_is_well_or_not(asked, tmp_path, error, expected):
    job, code, said = asked("jetson.selftest", "selftest", files=["selftest.txt"], error=error)
    assert code == expected and os.listdir(str(tmp_path / "selftest")) == ["selftest.txt"]
    assert "To be sent back" in said and ("1 of 20" in said) == bool(error)


def test_a_folder_that_is_no_engine_is_not_replaced(board):
    photos = board.folder / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"precious")
    assert "not made by this program" in board.run("build-engine", "--out", "photos", code=2)
    assert (photos / "a.jpg").read_bytes() == b"precious"


def test_two_builds_at_once(board):
    work = board.folder / ".engine-fp16.work"
    work.mkdir()
    with open(str(work / "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "being made by another process" in board.run("build-engine", code=2)


def test_ctrl_c_in_the_middle_of_a_build(board):
    child = board.start("build-engine", BUILD_SECONDS=60)
    log = board.folder / ".engine-fp16.work" / "output" / "build.log"
    deadline = time.time() + 60
    while not (log.exists() and log.stat().st_size) and time.time() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said = child.communicate()[0]
    assert child.returncode == 130 and said.splitlines()[-1] == "error: Stopped; nothing is half-written.", said
    assert board.seen() == ["detector.pyz"]


def test_pictures_are_looked_at_by_the_reference_without_an_engine(board):
    (board.folder / "a.png").write_bytes(pixels.encode_png(photo(120, 160)))
    said = board.run("detect", "a.png", "--backend", "reference", "--threshold", "0.3", "--sink", "lines:found.jsonl")
    (line,) = (board.folder / "found.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == "a.png" and json.loads(line)["detections"], said
    assert "There is no engine beside" in board.run("detect", "a.png", code=2)


def test_names_are_what_they_are_without_a_locale(board):
    """For Python 3.6 the locale decides what a name is, and OpenCV crashes on one that is not in UTF-8."""
    board.pyz.rename(board.folder / "탐지기.pyz")
    board.pyz = board.folder / "탐지기.pyz"
    (board.folder / "사진.png").write_bytes(pixels.encode_png(photo(120, 160)))
    arguments = ["사진.png", "--backend", "reference", "--sink", "lines", "--sink", "file:영상.mp4"]
    said = board.run("detect", *arguments, ENVIRONMENT={"LC_ALL": "C"})
    (line,) = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert line["file"] == "사진.png" and (board.folder / "영상.mp4").stat().st_size


def test_without_sinks_the_figures_are_told(board):
    (board.folder / "a.png").write_bytes(pixels.encode_png(photo(120, 160)))
    said = board.run("detect", "a.png", "--backend", "reference", "--sink", "none").splitlines()
    assert re.match("detect: detections .*frames 1", said[-1]) and not [one for one in said if one.startswith("{")]


def test_ctrl_c_while_programs_are_imported(board):
    """A board takes seconds for it; here the first program stands for all, by a signal to itself."""
    board.run("--help")
    (name,) = unpacked(board.folder)
    program = board.folder / name / "stages" / "jetson" / "board_command.py"
    stopped = b"import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    program.write_bytes(stopped.ljust(program.stat().st_size))
    os.utime(str(program), (0, 0))  # else what was compiled a moment ago would be taken
    assert board.run("--help", code=130) == "error: Stopped; nothing is half-written.\n"


def unpacked(folder):
    return [name for name in os.listdir(str(folder)) if name.startswith(".detector.pyz-")]


def test_programs_are_unpacked_once_by_whoever_is_first_and_again_where_they_are_damaged(board):
    children = [board.start("--help") for _ in range(3)]
    assert [(child.communicate(), child.returncode)[1] for child in children] == [0, 0, 0]
    (name,) = unpacked(board.folder)
    file = board.folder / name / "stages" / "job.py"
    file.write_bytes(file.read_bytes()[:100])
    board.run("--help")
    assert unpacked(board.folder) == [name] and file.stat().st_size > 1000


def test_a_newer_archive_does_not_meet_the_older_ones_programs(board):
    board.run("--help")
    with zipfile.ZipFile(str(board.pyz), "a") as archive:
        archive.writestr("stages/new.py", "")
    board.run("--help")
    assert len(unpacked(board.folder)) == 2


@pytest.mark.parametrize("name", [".cache", ""])
def test_where_its_folder_cannot_be_written_the_users_cache_is_taken(board, monkeypatch, name):
    """A file of that name stands in the way, since the superuser may write anywhere."""
    board.run("--help")
    (hidden,) = unpacked(board.folder)
    shutil.rmtree(str(board.folder / hidden))
    (board.folder / hidden).symlink_to("/nowhere/at/all")
    if name:
        board.run("--help")
        assert os.listdir(str(board.home / ".cache" / "nanoforge")) == [hidden]
    else:
        (board.home / ".cache").write_text("in the way")
        assert "cannot be unpacked" in board.run("--help", code=1)


@pytest.mark.skipif(os.getuid() != 0, reason="only the superuser can give a folder away")
def test_programs_that_somebody_else_put_there_are_not_run(board):
    board.run("--help")
    (hidden,) = unpacked(board.folder)
    os.chown(str(board.folder / hidden), 12345, 12345)
    (board.folder / hidden / "stages" / "job.py").write_text("raise RuntimeError('not mine')")
    board.run("--help")
    assert os.listdir(str(board.home / ".cache" / "nanoforge")) == [hidden]


def test_another_python_is_told_which_one_it_needs(board):
    source = zipfile.ZipFile(str(board.pyz)).read("__main__.py").decode()
    program = source.replace("sys.version_info < (3, 6)", "True")
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    assert done.returncode == 1 and done.stdout.endswith("needs Python 3.6 or newer: run it by python3\n")


def names_of(archive):
    return zipfile.ZipFile(str(archive)).namelist()


def test_every_module_that_its_programs_name_is_in_it_and_none_of_those_that_make_models(board):
    held = set(names_of(board.pyz))
    with zipfile.ZipFile(str(board.pyz)) as archive:
        for name in held:
            if name.endswith(".py"):
                for module in imported(archive.read(name).decode("utf-8")):
                    if not is_left_out(module):
                        assert has(held, module), "%s needs %s" % (name, module)
    assert not [name for name in held if is_left_out(name[: -len(".py")].replace("/", "."))]
    assert {"stages/jetson/builder.py", "stages/start.py", "stages/parent.py", "__main__.py"} <= held


def is_left_out(module):
    return any((module + ".").startswith(one + ".") for one in code.LEFT_OUT)


def imported(source):
    """The modules of the stages that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "stages")
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "stages":
            for alias in node.names:
                whole = os.path.join(CLONE, *(node.module + "." + alias.name).split("."))
                is_module = os.path.exists(whole + ".py") or os.path.isdir(whole)
                yield node.module + "." + alias.name if is_module else node.module


def has(held, module):
    path = module.replace(".", "/")
    return path + ".py" in held or path + "/__init__.py" in held


def test_what_a_child_is_started_with_and_what_lies_beside_a_module_is_needed(tmp_path, monkeypatch):
    room = tmp_path / "stages" / "room"
    (room / "page").mkdir(parents=True)
    (room / "other").mkdir()
    for path, text in (
        (tmp_path / "stages" / "__init__.py", ""),
        (tmp_path / "stages" / "unneeded.py", ""),
        (room / "__init__.py", ""),
        (room / "first.py", "def main():\n    from stages.room import second\n    import stages.train.x"),
        (room / "second.py", "CHILD = 'stages.room.third'\nimport numpy, os"),
        (room / "third.py", ""),
        (room / "page" / "index.html", "<p>"),
        (room / "other" / "module.py", ""),
        (room / "other" / "not.html", ""),
    ):
        path.write_text(text)
    monkeypatch.setattr(code, "ROOT", str(tmp_path / "stages"))
    names = ["__init__.py", "first.py", "page/index.html", "second.py", "third.py"]
    assert sorted(code.needed(["stages.room.first"])) == [
        "stages/__init__.py", *("stages/room/" + name for name in names),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error, code, told",
    [
        (BadInput("this is wrong"), 2, "error: this is wrong\n"),
        (StageFailed("it broke"), 1, "error: it broke\n"),
        (KeyboardInterrupt(), 130, "error: Stopped; nothing is half-written.\n"),
        (OSError(28, "No space left on device", "/x"), 1, "error: The disk is full (/x)"),
        (ZeroDivisionError("division by zero"), 1, "a bug: please report the lines above"),
    ],
)
def test_how_a_command_ends(capsys, error, code, told):
    def work():
        raise error

    assert terminal.exit_code(work) == code
    assert told in capsys.readouterr().err


def test_progress_is_one_line_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    job = terminal.TerminalJob(
        {"stage": "build-engine", "inputs": {}, "output": "", "scratch": "", "parameters": {}, "cpus": 1}
    )
    job.progress(1, 4, "about 30 s left")
    job.progress(2, 4, "about 20 s left")
    job.warn("little memory")
    job.progress(3, 4, "about 10 s left")
    job.rest()
    job.rest()
    said = capsys.readouterr().err
    assert said.count("\n") == 2 and said.split("\r")[2] == "build-engine:  50 % about 20 s left\033[K"
    assert said.split("\r")[3:] == ["\033[Kwarning: little memory\n", "build-engine:  75 % about 10 s left\033[K\n"]
