"""The images' health check: what it says, in which Python, and of what it finds."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nanoforge.containers.compose import local_environment
from nanoforge.runners import virtual_environments

HEALTH = Path(__file__).resolve().parents[2] / "docker" / "health.py"


def health(*modules, folder=None, python=sys.executable):
    """A run of the health check, with ``folder`` before the other places of packages."""
    environment = {**os.environ, **({"PYTHONPATH": str(folder)} if folder else {})}
    command = [str(python), "-B", str(HEALTH), *modules]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def report(*modules, **options):
    done = health(*modules, **options)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    return json.loads(done.stdout)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_it_says_what_is_here():
    here = report("pytest", "json")
    assert (here["python"], here["machine"]) == (platform.python_version(), platform.machine())
    assert here["modules"]["json"] == json.__version__


@pytest.mark.parametrize("module", ["nowhere", "nowhere.inner", "json.nowhere"])
def test_a_module_that_is_missing_is_told_in_one_sentence(module):
    done = health("json", module)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"{module} cannot be imported: ModuleNotFoundError: No module named")


def test_a_module_that_fails_for_another_reason_is_told_too(tmp_path):
    write(tmp_path / "broken.py", "raise OSError('libcurand.so.10:\\ncannot open')")
    done = health("broken", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "broken cannot be imported: OSError: libcurand.so.10: cannot open\n")


def test_a_module_without_a_version_has_its_distribution_s_or_none(tmp_path):
    write(tmp_path / "plain.py", "")
    write(tmp_path / "known.py", "")
    write(tmp_path / "Known-2.dist-info" / "METADATA", "Name: Known\nVersion: 2\n")
    assert report("plain", "known", folder=tmp_path)["modules"] == {"plain": None, "known": "2"}


def test_packages_are_found_as_pip_debian_and_distutils_leave_them(tmp_path):
    write(tmp_path / "One_Two.three-1.dist-info" / "METADATA", "Name: One_Two.three\nVersion: 1\n\nName: text\n")
    write(tmp_path / "debian-2.egg-info" / "PKG-INFO", "Metadata-Version: 1.1\nName: debian\nVersion: 2\n")
    write(tmp_path / "old-3.egg-info", "Name: old\nVersion: 3\n")
    write(tmp_path / "half-4.dist-info" / "METADATA", "Name: half\n")
    write(tmp_path / "empty-5.dist-info" / "RECORD", "")
    (tmp_path / "bytes-6.egg-info").write_bytes(b"Name: bytes\nAuthor: \xff\nVersion: 6\n")
    found = report(folder=tmp_path)["packages"]
    mine = {name: found.get(name) for name in ("one-two-three", "debian", "old", "half", "empty", "bytes")}
    assert mine == {"one-two-three": "1", "debian": "2", "old": "3", "half": None, "empty": None, "bytes": "6"}


def test_the_first_of_two_counts(tmp_path):
    for folder, version in (("a", 1), ("b", 2)):
        write(tmp_path / folder / "same-1.dist-info" / "METADATA", f"Name: same\nVersion: {version}\n")
    assert report(folder=f"{tmp_path / 'a'}:{tmp_path / 'b'}:{tmp_path / 'none'}")["packages"]["same"] == "1"


def test_python_36_runs_it():
    python36 = virtual_environments.find_interpreter(local_environment("train"))
    here = report("json", python=python36.path)
    assert here["python"] == python36.version
    assert here["packages"]["pip"]
