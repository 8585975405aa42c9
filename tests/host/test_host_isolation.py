"""No Python that is started takes a module from the current folder, or from where PYTHON... variables say."""

import ast
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from host_sources import python_files, tree

from nanoforge.containers.compose import local_environment
from nanoforge.runners.isolated import isolated
from nanoforge.runners.virtual_environments import find_interpreter

CLONE = Path(__file__).resolve().parents[2]
HOSTILE = "open({mark!r}, 'a').write(__name__ + '\\n')\n"
# What finds out where modules come from in the processes that a stage starts.
SPAWNING = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def path_of_json(_):
    import json
    return json.__file__

if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        print(set(pool.map(path_of_json, range(4))), sys.argv[1:])
"""


class Trap:
    """A folder with a module for every name that anything might import; they tell that they were executed."""

    def __init__(self, folder):
        self.folder = folder
        self._mark = folder.parent / "executed"
        folder.mkdir()
        names = {module.name for module in pkgutil.iter_modules()} | {*sys.builtin_module_names}
        names |= {"nanoforge", "stages", "tasks", "sitecustomize", "usercustomize", "tensorflow", "tensorboard", "cv2"}
        for name in names:
            (folder / f"{name}.py").write_text(HOSTILE.format(mark=str(self._mark)))
        for name in ("nanoforge", "stages", "http", "tensorboard"):
            (folder / "packages" / name).mkdir(parents=True)
            for inside in ("__init__", "__main__", "main", "server"):
                (folder / "packages" / name / f"{inside}.py").write_text(HOSTILE.format(mark=str(self._mark)))

    def run(self, command, **variables):
        """Run it there, where every variable leads into the trap too."""
        inside = f"{self.folder}:{self.folder / 'packages'}"
        lead = {"PYTHONPATH": inside, "PYTHONSTARTUP": str(self.folder / "os.py"), "PYTHONUSERBASE": str(self.folder)}
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **lead, **variables}, capture_output=True, text=True
        )
        assert not self._mark.exists(), f"{self._mark.read_text().split()} of the current folder: {command}"
        return done

    def catches(self, command):
        """Whether the command runs into it."""
        subprocess.run(command, cwd=self.folder, capture_output=True)
        caught = self._mark.exists()
        self._mark.unlink() if caught else None
        return caught


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    return Trap(tmp_path_factory.mktemp("trap") / "dataset")


def pythons():
    """Every Python that there is for stages, by name."""
    found = {"host": sys.executable, "3.6": str(find_interpreter(local_environment("train")).path)}
    stated = {name: os.environ.get(f"NANOFORGE_{name.upper()}_PYTHON") for name in ("data", "train")}
    return {**found, **{name: path for name, path in stated.items() if path}}


def start_in(folder):
    """A clone with nothing but what starts a module."""
    (folder / "stages").mkdir()
    for name in ("__init__.py", "start.py", "parent.py"):
        shutil.copy(CLONE / "stages" / name, folder / "stages")


def test_the_trap_is_one(trap):
    assert trap.catches([sys.executable, "-m", "http.server", "--help"])
    assert trap.catches([sys.executable, "-c", "import json"])


@pytest.mark.parametrize("name", pythons())
@pytest.mark.parametrize("words", [["pip", "--version"], ["http.server", "--help"], ["venv", "--help"]])
def test_modules_of_the_interpreter_are_its_own(trap, name, words):
    done = trap.run(isolated(Path(pythons()[name]), *words))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", pythons())
def test_a_stage_is_the_clones_and_speaks_utf8_in_any_locale(trap, name, tmp_path):
    (tmp_path / "nobody.json").write_text("{")
    command = isolated(Path(pythons()[name]), "stages.job", flags=("-W", "ignore"))
    assert trap.run(command).returncode == 0
    start_in(tmp_path)
    (tmp_path / "stages" / "hello.py").write_text("import sys\nprint('\\uace0\\uc591\\uc774', sys.argv[1:])\n")
    command[command.index(str(CLONE / "stages" / "start.py")) :] = [str(tmp_path / "stages" / "start.py")]
    said = subprocess.run(
        [*command, "stages.hello", "a b"], cwd=trap.folder, env={"LC_ALL": "C"}, stdout=subprocess.PIPE, check=True
    ).stdout
    assert said.decode("utf-8") == "고양이 ['a b']\n"


def test_what_a_stage_starts_is_kept_from_the_folder_too(trap, tmp_path):
    start_in(tmp_path)
    (tmp_path / "stages" / "spawning.py").write_text(SPAWNING)
    command = [sys.executable, "-I", str(tmp_path / "stages" / "start.py"), "stages.spawning", "x"]
    done = trap.run(command)
    assert done.returncode == 0 and str(trap.folder) not in done.stdout and done.stdout.endswith("['x']\n")


# In the clone's folder, in the matrix's own, and in containers, whose current folder nobody can write.
ELSEWHERE = {"dev/tests.py", "dev/matrix.py", "runners/docker.py", "doctor/docker.py"}


def test_no_other_python_is_started():
    found = set()
    for path in python_files("nanoforge"):
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.List, ast.Tuple)):
                words = {str(one.value) for one in node.elts if isinstance(one, ast.Constant)}
                if words & {"-m", "-c"} and not words & {"-I", "sh"}:
                    found.add(str(path.relative_to(CLONE / "nanoforge")))
    assert found == ELSEWHERE


def test_it_is_refused_where_the_flag_was_forgotten(trap):
    done = subprocess.run([sys.executable, str(CLONE / "stages" / "start.py"), "json"], capture_output=True, text=True)
    assert done.returncode == 1 and "usage: python -I" in done.stderr
