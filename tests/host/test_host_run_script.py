"""The script `run`: finds a Python and the host environment, in any folder, under any name, in any locale."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nanoforge.runners import host_environment

CLONE = Path(__file__).resolve().parents[2]
NEEDED = ("run", "nanoforge", "stages", "tasks.py", "compose.yml", ".env", "requirements.lock", "docker")

# Stands for the interpreter that is found: makes a host environment by linking the one of these tests.
PYTHON = f"""#!/bin/sh
case "$*" in
*host_environment*)
    for folder; do :; done
    echo "$folder" >> "$(dirname "$0")/made"
    mkdir -p "$folder" || exit 3
    for part in bin lib lib64 pyvenv.cfg; do ln -s {sys.prefix}/$part "$folder/"; done
    touch "$folder/ready";;
*) {sys.executable} "$@" | sed "1s|^/.*|$0|";;
esac
"""


class Machine:
    """A home with a Python on its path, and a clone."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.home = folder / "home"
        self.bin.mkdir()
        self.home.mkdir()
        self.python = self.bin / "python3"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        self.script = CLONE / "run"

    def run(self, *arguments, cwd=None, script=None, **variables):
        """What `run` did; a variable that is None is not there."""
        given = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.home), **variables}
        environment = {name: str(value) for name, value in given.items() if value is not None}
        return subprocess.run(
            [str(script or self.script), *arguments],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
        )

    def made(self):
        """The folders of the host environments that were made."""
        file = self.bin / "made"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def works(done):
    assert (done.returncode, done.stdout.split()[0]) == (0, "Nanoforge"), done.stderr


def test_the_host_environment_is_made_once_whatever_the_locale_the_time_and_the_folder(machine):
    works(machine.run("--version"))
    os.utime(machine.python, (0, 0))
    works(machine.run("--version", LC_ALL="C", TZ="Asia/Seoul"))
    works(machine.run("--version", LANG="ko_KR.UTF-8", cwd="/"))
    (made,) = machine.made()
    assert Path(made).parent == machine.home / ".cache" / "nanoforge" / "environments"


def test_another_lock_file_makes_another_one(machine, tmp_path):
    clone = copy_of_the_clone(tmp_path / "clone")
    works(machine.run("--version", script=clone / "run"))
    with open(clone / "requirements.lock", "a") as lock:
        lock.write("# changed\n")
    works(machine.run("--version", script=clone / "run"))
    assert len({*machine.made()}) == 2


def copy_of_the_clone(folder):
    folder.mkdir(parents=True)
    for name in NEEDED:
        source = CLONE / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "고양이's:  $HOME",
        "-x",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("with  two blanks", "with:colon", "고양이", "it's $HOME")
        ),
    ],
)
def test_a_clone_may_lie_anywhere_and_be_called_through_a_link(machine, tmp_path, name):
    clone = copy_of_the_clone(tmp_path / name)
    works(machine.run("--version", script=clone / "run"))
    link = tmp_path / "links" / "forge"
    link.parent.mkdir()
    link.symlink_to(clone / "run")
    works(machine.run("--version", script=link))
    listed = machine.run("--list", script=link)
    assert listed.returncode == 0 and "tensorboard" in listed.stdout


def test_a_current_folder_that_was_removed_is_a_sentence(machine, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && {machine.script} status"
    done = machine.run("-c", script, script="/bin/sh")
    assert done.returncode == 2 and "run: the current folder was removed; change to one that is" in done.stderr


def test_nothing_is_taken_from_the_current_folder_or_the_users_variables(machine, tmp_path):
    for name in ("json", "os", "nanoforge", "tasks", "invoke", "html", "runpy", "hashlib", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')\n")
    variables = {"PYTHONPATH": tmp_path, "PYTHONHOME": tmp_path, "PYTHONSTARTUP": tmp_path / "os.py"}
    for arguments in (["--version"], ["--list"], ["status"], ["gc", "--dry-run"]):
        done = machine.run(*arguments, cwd=tmp_path, **variables)
        assert "executed" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"XDG_CACHE_HOME": "relative"}, "home/.cache/nanoforge"),
        pytest.param({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/nanoforge", marks=pytest.mark.slow),
        pytest.param({"NANOFORGE_CACHE": "relative"}, "relative", marks=pytest.mark.slow),
        ({"NANOFORGE_CACHE": "{}/stated  so", "XDG_CACHE_HOME": "{}/xdg"}, "stated  so"),
    ],
)
def test_the_cache_lies_where_the_variables_say(machine, tmp_path, variables, place):
    works(machine.run("--version", **{name: value.format(tmp_path) for name, value in variables.items()}))
    assert [Path(made).parents[1] for made in machine.made()] == [tmp_path / place]


def test_without_home_the_users_own_is_asked_for(machine, tmp_path):
    done = machine.run("--version", HOME=None, XDG_CACHE_HOME=tmp_path / "xdg")
    works(done)


def test_without_a_python_there_is_a_sentence(machine):
    machine.python.write_text("#!/bin/sh\nexit 1\n")
    for name in ("python", *(f"python3.{minor}" for minor in range(8, 15))):
        shutil.copy(machine.python, machine.bin / name)
    done = machine.run("--version")
    assert done.returncode == 3 and done.stderr.startswith("run: Python 3.8 or newer was not found")


def test_an_active_virtual_environment_is_not_what_the_host_environment_is_made_from(tmp_path):
    probe = (CLONE / "run").read_text(encoding="utf-8").split("probe='")[1].split("\n'\n")[0]
    command = [sys.executable, "-I", "-S", "-c", probe, str(CLONE)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    assert not found.startswith(sys.prefix) and os.path.realpath(found) == os.path.realpath(sys.executable)


# --- what makes it


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / "cache").write_text("in the way")
    assert host_environment.main(tmp_path / "cache" / "environments" / "host-1") == 3
    told = capsys.readouterr().err
    assert "The cache folder" in told and "cannot be used: Not a directory" in told and "NANOFORGE_CACHE" in told


def test_a_full_disk_is_told_as_that(tmp_path, capsys, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(host_environment, "Installation", no_room)
    assert host_environment.main(tmp_path / "host-1") == 3
    assert "The disk of the cache folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "words"),
    [("No space left on device", "the disk is full"), ("NewConnectionError", "cannot be reached"), ("x", "made: x")],
)
def test_a_failing_installation_is_a_sentence_and_leaves_its_log_only(tmp_path, capsys, monkeypatch, said, words):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {said}; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert host_environment.main(tmp_path / "host-1") == 3
    told = capsys.readouterr().err
    assert words in told and str(tmp_path / "host-1.log") in told
    assert {path.name for path in tmp_path.iterdir()} == {"python", "host-1.log", "host-1.lock"}
