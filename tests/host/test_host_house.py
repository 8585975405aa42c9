"""The house's other rules: sizes, names, which Python must read what, and docs that agree with the code."""

import ast
import collections
import re
import subprocess

import pytest
from host_sources import CLONE, imports, python_files, tree

from nanoforge.containers.compose import local_environment
from nanoforge.dev.docs import generated_docs
from nanoforge.errors import EnvironmentNotReady
from nanoforge.pipeline.fingerprint import code_files
from nanoforge.pipeline.stages import TABLE
from nanoforge.runners import virtual_environments

LONGEST_FILE, LONGEST_FUNCTION = 500, 60
EVERYTHING = python_files("nanoforge", "stages", "tests", "docker", "benchmarks", "tasks.py")
# Errors of the stages, which reach the host as exit codes and become the host's errors of the same names.
ON_BOTH_SIDES = {"BadInput", "StageFailed"}
# Run by TensorFlow 1.12's Python, by a Jetson's, or in every image.
ON_PYTHON_36 = [
    *python_files("docker", "stages/train", "stages/convert", "stages/detect", "stages/reference", "stages/jetson"),
    *sorted((CLONE / "stages").glob("*.py")),
    *python_files("tests/matrix/cases.py", "tests/matrix/export.py", "tests/matrix/judge.py"),
]
# One holds the leader unreaped, the other is the leader.
SIGNAL_GROUPS = {"nanoforge/sessions.py", "stages/parent.py"}
NEWER_THAN_36 = {"dataclasses", "contextvars", "graphlib", "zoneinfo", "tomllib"}


def test_no_file_is_longer_than_can_be_overlooked():
    lines = {str(path.relative_to(CLONE)): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    assert {path: count for path, count in lines.items() if count > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{path.relative_to(CLONE)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_a_class_name_stands_for_one_thing():
    places = collections.defaultdict(list)
    for path in python_files("nanoforge", "stages"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(CLONE)))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in ON_BOTH_SIDES} == {}
    assert all(len(places[name]) == 2 for name in ON_BOTH_SIDES)


def calls(path):
    """Every call in a file: the last word of what is called, the names of its arguments, and where."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield name, {word.arg for word in node.keywords}, f"{path.relative_to(CLONE)}:{node.lineno}"


def test_processes_are_started_and_ended_in_ways_that_cannot_go_wrong():
    """Python runs between fork and exec where there are threads; text is not in the locale's encoding; a group whose
    leader was reaped may be another's."""
    made = [call for path in python_files("nanoforge", "stages") for call in calls(path)]
    assert [where for _, words, where in made if "preexec_fn" in words] == []
    assert [
        where for _, words, where in made if words & {"text", "universal_newlines"} and "encoding" not in words
    ] == []
    assert {where.split(":")[0] for name, _, where in made if name == "killpg"} == SIGNAL_GROUPS


def test_python_36_can_read_what_it_has_to():
    python36 = virtual_environments.find_interpreter(local_environment("train")).path
    program = "import sys\nfor path in sys.argv[1:]:\n    compile(open(path, encoding='utf-8').read(), path, 'exec')"
    done = subprocess.run([str(python36), "-c", program, *map(str, ON_PYTHON_36)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    newer = [
        f"{path}: {name}" for path in ON_PYTHON_36 for name in imports(path) if name.split(".")[0] in NEWER_THAN_36
    ]
    assert newer == []


def test_every_stage_has_a_program_a_lock_and_a_page():
    for stage in TABLE:
        assert code_files(stage.module), stage.name
        assert local_environment(stage.environment).locks, stage.name
        assert (CLONE / "docs" / "stages" / f"{stage.name}.md").is_file(), stage.name


def test_generated_docs_are_up_to_date():
    for path, text in generated_docs().items():
        assert path.read_text(encoding="utf-8") == text, f"run ./run docs, {path.name} is old"


def test_links_in_the_docs_lead_somewhere():
    pages = [*CLONE.glob("*.md"), *(CLONE / "docs").rglob("*.md")]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert len(links) > len(pages)
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []


def test_lock_files_are_hashed_and_name_no_index():
    locks = [*CLONE.glob("*.lock"), *CLONE.glob("docker/*/*.lock"), *CLONE.glob("tests/*.lock")]
    locks += CLONE.glob("tests/matrix/**/*.lock")
    assert len(locks) > 10
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text and "index-url" not in text and "find-links" not in text, lock


def test_an_interpreter_that_is_not_python36_is_refused(monkeypatch):
    with pytest.raises(EnvironmentNotReady, match="is not a Python 3.6"):
        virtual_environments.find_interpreter(local_environment("train"), "/bin/true")
