"""What people's folders hold besides plain files: the host says so once, in a sentence, and opens none of it."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from nanoforge.commands import start, status
from nanoforge.commands.options import StageOptions
from nanoforge.console import Console
from nanoforge.containers.volumes import Content, _TarStream
from nanoforge.errors import BadInput, NanoforgeError
from nanoforge.files import digests
from nanoforge.files.selection import ALL_FILES
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.stages import INSPECT, RUN_UFF
from nanoforge.runners.local import child_environment

CLONE = Path(__file__).resolve().parents[2]
NAME = os.fsdecode(b"\xb0\xed\xbe\xe7")
SHOWN = "\\xb0\\xed\\xbe\\xe7"
NO_FILES = {"pipe": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path)}


def run(*arguments, cwd, **variables):
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "nanoforge", *arguments],
        cwd=cwd,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120", **variables},
    )


def test_what_is_left_out_is_told_once_for_all_stages_that_read_it(home, photos, capsys):
    os.mkfifo(photos.folder / "photos/JPEGImages/pipe.jpg")
    (photos.folder / "photos/JPEGImages/loop").symlink_to(".")
    project = photos.project()
    for stage in ("resize", "records"):
        build(project, stage)
    said = capsys.readouterr().err
    assert said.count("Left out: ") == 1
    assert (
        f"{photos.folder}/photos/JPEGImages/pipe.jpg (it is a named pipe)" in said
        and "loop (it is the same folder" in said
    )


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize(
    "key", ["dataset.photos", "dataset.annotations", "model.pipeline_config", "convert.nvidia_uff"]
)
def test_an_input_that_is_no_file_is_refused_unopened(home, photos, kind, key):
    NO_FILES[kind](photos.folder / "input")
    with pytest.raises(BadInput, match=f"/input: it is a .*, not a file or folder; {key} in detector.toml names it"):
        project = photos.project(f"{key}='input'")
        for stage in ("records", "train", "export", "convert"):
            plan(project, stage)
            build(project, stage)


@pytest.mark.parametrize("kind", NO_FILES)
def test_media_that_are_no_file_are_refused_unopened(home, photos, kind):
    NO_FILES[kind](photos.folder / "media.jpg")
    project = photos.project("detect.media='media.jpg'")
    with pytest.raises(BadInput, match=r"/media.jpg: it is a .*, not a file or folder; detect.media"):
        build(project, "detect")


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("program", [INSPECT, RUN_UFF])
def test_a_file_named_on_the_command_line_that_is_none_is_refused_unopened(tmp_path, kind, program):
    NO_FILES[kind](tmp_path / "file")
    with pytest.raises(BadInput, match=r"/file \(given as file\) is neither a file nor a folder"):
        run_adhoc(AdhocRun(program, {"file": tmp_path / "file"}, {}), Console(), tmp_path / "out", None)


def test_a_photo_that_cannot_be_read_is_named(home, photos, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(digests, "sha256_file", refuse)
    with pytest.raises(BadInput, match=r"The photos cannot be read: .*/a.jpg: Permission denied; dataset.photos"):
        build(photos.project(), "records")


def test_a_changed_file_whose_name_is_not_utf8_is_named(home, photos):
    photos.write(f"photos/JPEGImages/{NAME}.jpg", "one")
    build(photos.project(), "records")
    photos.write(f"photos/JPEGImages/{NAME}.jpg", "two")
    (found,) = (one for one in plan(photos.project(), "records") if one.stage.name == "records")
    assert found.reasons == [f"input photos changed: 1 changed ({SHOWN}.jpg)"]
    for file in (photos.folder / "build").rglob("*.json"):
        json.loads(file.read_bytes().decode("utf-8"))


def test_a_failure_that_names_such_a_file_is_kept_and_shown(home, photos, capsys):
    home.behave(records={"bad_input": f"{NAME}.jpg is wrong"})
    with pytest.raises(BadInput, match=r"\\xb0\\xed\\xbe\\xe7.jpg is wrong"):
        build(photos.project(), "records")
    status.explain(photos.project(), "records")
    assert f"{SHOWN}.jpg is wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        pytest.param({"LC_ALL": "C", "LANG": "C"}, marks=pytest.mark.slow),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_no_locale_ends_a_command_in_a_traceback(photos, variables):
    photos.write(f"photos/JPEGImages/{NAME}.jpg", "one")
    photos.write("photos/JPEGImages/고양이.jpg", "two")
    folder = photos.folder.rename(photos.folder.with_name(f"고양이-{NAME}"))
    for arguments in (["status"], ["explain", "records"], ["records", "--dry-run"], ["status", "--json"]):
        done = run(*arguments, cwd=folder, **variables)
        assert done.returncode in (0, 1) and b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.stdout or done.stderr


def test_the_console_shows_any_name(capsys):
    console = Console()
    for say in (console.say, console.good, console.warn):
        say(f"{NAME} [bold]고양이")
    said = capsys.readouterr().err
    assert said.count(f"{SHOWN} [bold]고양이") == 3
    assert str(NanoforgeError(NAME)) == SHOWN


def test_a_folder_whose_name_detector_toml_cannot_hold_is_refused(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    for name in ("a.jpg", "a.xml"):
        (folder / name).write_text("x")
    with pytest.raises(BadInput, match=r"\\xb0\\xed\\xbe\\xe7: the name is not UTF-8"):
        start.init(str(folder), str(tmp_path), False, StageOptions())
    assert not (tmp_path / "detector.toml").exists()


def test_a_stage_speaks_utf8_whatever_the_shell_does(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("LANG", "ko_KR.EUC-KR")
    code = "import sys; print(sys.getfilesystemencoding(), '고양이', '\\udcb0')"
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(1), capture_output=True, check=True)
    assert done.stdout.decode("utf-8") == "utf-8 고양이 \\udcb0\n"


def test_names_that_are_not_utf8_go_to_hosts_as_their_bytes(tmp_path):
    for name in (f"{NAME}.jpg", "고양이.jpg"):
        (tmp_path / name).write_text("x")
    stream = _TarStream(Content(tmp_path, ALL_FILES).files(), 0, lambda count: None)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream.blocks()))) as archive:
        assert {os.fsencode(name) for name in archive.getnames()} == set(map(os.fsencode, os.listdir(tmp_path)))
