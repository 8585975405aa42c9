"""Virtual environments: made once from their lock files, anew when half-made, and sentences where they cannot be."""

import sys
from pathlib import Path

import pytest

from nanoforge.console import Console
from nanoforge.containers.compose import Environment
from nanoforge.errors import EnvironmentNotReady
from nanoforge.runners import virtual_environments
from nanoforge.runners.virtual_environments import describe, ensure, ensure_overlay, find_interpreter, is_ready

PYTHON = "#!/bin/sh\necho numpy==1.0\necho local @ file:///x\n"


class Installer:
    """In place of venv and pip: keeps what was asked, makes an environment's Python, fails where it is told to."""

    def __init__(self):
        self.asked = []
        self.fails = False

    def __call__(self, command, log, environment):
        self.asked.append(command)
        if self.fails:
            log.write_text("gcc: command not found\n")
            raise EnvironmentNotReady(f"Environment {environment} could not be made{virtual_environments._reason(log)}")
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text(PYTHON)
            python.chmod(0o755)
        elif "--target" in command:
            Path(command[command.index("--target") + 1]).mkdir()


@pytest.fixture
def installer(monkeypatch):
    installer = Installer()
    monkeypatch.setattr(virtual_environments, "_run_logged", installer)
    return installer


@pytest.fixture
def small(tmp_path, monkeypatch):
    """An environment of two lock files."""
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    locks = (tmp_path / "build.lock", tmp_path / "requirements.lock")
    for lock in locks:
        lock.write_text("numpy==1.0\n")
    return Environment("small", "any", locks)


def test_an_environment_is_made_once_and_tells_what_is_in_it(small, installer, capsys):
    assert not is_ready(small)
    python = ensure(small, Console())
    assert is_ready(small) and ensure(small, Console()) == python
    assert capsys.readouterr().err.count("making environment small") == 1
    told = describe(python)
    assert told["numpy"] == "1.0" and told["python"].startswith("3.") and told["platform"].startswith("Linux")
    assert "local" not in told


def test_packages_are_installed_in_order_by_hash_and_with_nothing_fetched_unchecked(small, installer):
    python = ensure(small, Console())
    made, *installed = installer.asked
    assert made[1:3] == ["-m", "venv"]
    assert [command[-1] for command in installed] == [str(lock) for lock in small.locks]
    for command in installed:
        assert command[0] == str(python)
        assert {"--require-hashes", "--no-deps", "--no-build-isolation"} <= {*command}


def test_a_half_made_one_is_made_anew(small, installer):
    python = ensure(small, Console())
    (python.parent.parent / virtual_environments.READY).unlink()
    python.write_text("broken")
    assert ensure(small, Console()).read_text() == PYTHON


def test_other_packages_make_another_environment(small, installer):
    first = ensure(small, Console())
    small.locks[1].write_text("numpy==2.0\n")
    assert not is_ready(small)
    assert ensure(small, Console()) != first and first.is_file()


def test_a_failing_installation_is_a_sentence_and_makes_nothing_ready(small, installer):
    installer.fails = True
    with pytest.raises(
        EnvironmentNotReady, match="Environment small could not be made: pycocotools needs a C compiler"
    ):
        ensure(small, Console())
    assert not is_ready(small)


def test_what_a_program_says_is_kept_in_the_log(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(EnvironmentNotReady, match=f"could not be made: last words; the whole log is {log}"):
        virtual_environments._run_logged(["sh", "-c", "echo last words; exit 1"], log, "small")


def test_an_overlay_lies_beside_its_environment_and_is_made_once(small, installer, tmp_path):
    python = ensure(small, Console())
    lock = tmp_path / "requirements-extra.lock"
    lock.write_text("pytest==1.0\n")
    overlay = ensure_overlay("small", lock, python, Console())
    assert overlay.parent == python.parent.parent.parent and "-requirements-extra-" in overlay.name
    before = len(installer.asked)
    assert ensure_overlay("small", lock, python, Console()) == overlay and len(installer.asked) == before


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("unable to execute 'gcc': No such file or directory", "apt install gcc"),
        ("No module named venv", "apt install python3-venv"),
        ("Failed to establish a NewConnectionError", "cannot be reached"),
        ("something else\n\n", ": something else"),
        ("", ""),
    ],
)
def test_a_known_reason_comes_with_its_remedy(tmp_path, said, words):
    log = tmp_path / "log"
    log.write_text(said)
    assert words in virtual_environments._reason(log)


# --- interpreters


def fake_python(path, version):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with no Python 3.6 but those that a test puts there."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NANOFORGE_PYTHON36", raising=False)
    return tmp_path


OLD = Environment("old", virtual_environments.PYTHON36, ())


def test_any_python_is_the_hosts_own(machine):
    assert find_interpreter(Environment("new", "any", ())).version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    "place", ["bin/python3.6", "pyenv/versions/3.6.15/bin/python", "miniconda3/envs/a/bin/python3.6"]
)
def test_python_36_is_found_on_the_path_in_pyenv_and_in_conda(machine, place):
    python = fake_python(machine / place, "3.6.15")
    assert find_interpreter(OLD) == (python, "3.6.15")


def test_one_that_is_stated_wins_and_one_that_is_not_36_is_refused(machine, monkeypatch):
    fake_python(machine / "bin" / "python3.6", "3.6.15")
    mine = fake_python(machine / "mine", "3.6.9")
    assert find_interpreter(OLD, str(mine)) == (mine, "3.6.9")
    monkeypatch.setenv("NANOFORGE_PYTHON36", str(mine))
    assert find_interpreter(OLD).path == mine
    with pytest.raises(EnvironmentNotReady, match="other is not a Python 3.6. Install it with pyenv"):
        find_interpreter(OLD, str(fake_python(machine / "other", "3.7.1")))


def test_without_one_there_is_a_sentence(machine):
    with pytest.raises(EnvironmentNotReady, match="Python 3.6, which TensorFlow 1.12 needs, was not found"):
        find_interpreter(OLD)
