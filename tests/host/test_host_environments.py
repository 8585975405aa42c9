"""Virtual environments: made once from their lock files, anew when half-made, and sentences where they cannot be."""

import os
import sys
from pathlib import Path

import pytest

from nanoforge.console import Console
from nanoforge.containers.compose import Environment
from nanoforge.errors import EnvironmentNotReady
from nanoforge.runners import virtual_environments
from nanoforge.runners.installation import reason
from nanoforge.runners.virtual_environments import (
    Interpreter,
    describe,
    ensure,
    ensure_overlay,
    find_interpreter,
    is_ready,
)

# A Python that only knows venv and pip, as they are started: flags, stages/start.py, module, arguments.
PYTHON = """#!/bin/sh
echo "$@" $PIP_NO_BUILD_ISOLATION >> {log}
while [ "${{1#-}}" != "$1" ]; do shift; done
shift
[ "$1" = venv ] && mkdir -p "$2/bin" && cp "$0" "$2/bin/python"
[ "$1 $2" = "pip freeze" ] && echo numpy==1.0 && echo local @ file:///x
if [ "$1 $2" = "pip install" ]; then
    while [ $# -gt 1 ]; do [ "$1" = --target ] && mkdir "$2"; shift; done
    if [ -e {log}.fail ]; then cat {log}.fail; exit 1; fi
fi
exit 0
"""


class Installer:
    """The stand-in Python: what it was asked, and what pip says where it is to fail."""

    def __init__(self, folder):
        self._log = folder / "asked"
        self.path = folder / "python"
        self.path.write_text(PYTHON.format(log=self._log))
        self.path.chmod(0o755)

    @property
    def asked(self):
        """The words after stages/start.py, of each call."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.split("stages/start.py ")[1].split() for line in lines]

    def fails(self, words):
        self._log.with_name("asked.fail").write_text(words)

    def works_again(self):
        self._log.with_name("asked.fail").unlink()


@pytest.fixture
def installer(tmp_path, monkeypatch):
    installer = Installer(tmp_path)
    monkeypatch.setattr(virtual_environments, "find_interpreter", lambda *_: Interpreter(installer.path, "3.9.1"))
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
    made, *installed, frozen = installer.asked
    assert made[:2] == ["venv", str(python.parent.parent)] and frozen[:2] == ["pip", "freeze"]
    assert [words[-2] for words in installed] == [str(lock) for lock in small.locks]
    for words in installed:
        assert {"--require-hashes", "--no-deps"} <= {*words}
        assert words[-1] == "0", "as a variable, in which 0 means no isolation; pip 9 knows no such option"


def test_a_half_made_one_is_made_anew(small, installer):
    python = ensure(small, Console())
    (python.parent.parent / virtual_environments.READY).unlink()
    python.write_text("broken")
    (python.parent / "left").touch()
    assert ensure(small, Console()).read_text() == installer.path.read_text()
    assert not (python.parent / "left").exists()


def test_other_packages_make_another_environment(small, installer):
    first = ensure(small, Console())
    small.locks[1].write_text("numpy==2.0\n")
    assert not is_ready(small)
    assert ensure(small, Console()) != first and first.is_file()


def test_a_failing_installation_is_a_sentence_with_its_log_and_leaves_nothing_else(small, installer, tmp_path):
    installer.fails("first words\ngcc: command not found\n")
    with pytest.raises(EnvironmentNotReady, match="Environment small could not be made: one of its packages") as told:
        ensure(small, Console())
    assert not is_ready(small)
    log = Path(str(told.value).split("the whole log is ")[1].rstrip("."))
    assert log.read_text().startswith("first words")
    left = {path.suffix for path in (tmp_path / "cache" / "environments").iterdir()}
    assert left == {".log", ".lock"}
    installer.works_again()
    ensure(small, Console())
    assert not log.exists()


def test_a_cache_that_cannot_be_written_is_a_sentence(small, installer, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(EnvironmentNotReady, match="cache cannot be used: Not a directory.*NANOFORGE_CACHE"):
        ensure(small, Console())


def test_an_overlay_lies_beside_its_environment_and_is_made_once(small, installer, tmp_path):
    python = ensure(small, Console())
    lock = tmp_path / "requirements-extra.lock"
    lock.write_text("pytest==1.0\n")
    overlay = ensure_overlay("small", lock, python, Console())
    assert overlay.parent == python.parent.parent.parent and "-requirements-extra-" in overlay.name
    before = len(installer.asked)
    assert ensure_overlay("small", lock, python, Console()) == overlay and len(installer.asked) == before


NO_NETWORK = (
    "WARNING: Retrying after connection broken by NewConnectionError\nERROR: No matching distribution found for a"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("unable to execute 'gcc': No such file or directory", "apt install gcc"),
        ("No module named venv", "apt install python3-venv"),
        ("was not created successfully because ensurepip is not available", "apt install python3-venv"),
        # What venv says on a full disk: pip could not be written.
        ("OSError: [Errno 28] No space left on device\nCommand 'python -m ensurepip' returned 1", "the disk is full"),
        ("ERROR: [Errno 122] Disk quota exceeded", "the disk is full"),
        ("Failed to establish a NewConnectionError", "cannot be reached"),
        (NO_NETWORK, "cannot be reached"),
        ("(from versions: none)\nERROR: No matching distribution found for numpy==1.0", "cannot be reached, or has"),
        ("(from versions: 2.0)\nERROR: No matching distribution found for numpy==1.0", "does not have a version"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "another file than the one"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("Command 'python -m ensurepip' returned 1", ": Command 'python -m ensurepip' returned 1"),
        ("something else\n\n", ": something else"),
        ("", ""),
    ],
)
def test_a_known_reason_comes_with_its_remedy(tmp_path, said, words):
    assert words in reason(said, tmp_path / "not there yet")


def test_a_full_disk_is_known_though_nobody_could_write_that_it_is(tmp_path, monkeypatch):
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 100, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    assert "the disk is full (0 MB are free in" in reason("", tmp_path)


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
