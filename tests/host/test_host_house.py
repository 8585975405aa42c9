"""The house's own rules: who may import whom, which Python must read what, and docs that agree with the code."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from nanoforge.containers.compose import local_environment
from nanoforge.dev.tests import generated_docs
from nanoforge.errors import EnvironmentNotReady
from nanoforge.pipeline.fingerprint import code_files
from nanoforge.pipeline.stages import TABLE
from nanoforge.runners import virtual_environments

CLONE = Path(__file__).resolve().parents[2]
STAGE_FILES = sorted((CLONE / "stages").rglob("*.py"))
HOST_FILES = [*sorted((CLONE / "nanoforge").glob("*.py")), CLONE / "tasks.py"]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_host_and_stages_do_not_import_each_other():
    assert [path for path in HOST_FILES for name in imports(path) if name.split(".")[0] == "stages"] == []
    assert [path for path in STAGE_FILES for name in imports(path) if name.split(".")[0] == "nanoforge"] == []


def test_the_reference_engine_shares_no_code_with_the_converter():
    reference = {path for path in STAGE_FILES if path.parent.name == "reference"}
    assert (
        reference and [path for path in reference for name in imports(path) if name.startswith("stages.convert")] == []
    )


def test_the_handshake_needs_the_standard_library_only():
    assert set(imports(CLONE / "stages" / "job.py")) <= {
        "json",
        "os",
        "signal",
        "sys",
        "threading",
        "traceback",
        "typing",
    }


def test_detection_needs_numpy_and_opencv_only():
    files = [path for path in code_files("stages.detect.detect") if path.suffix == ".py"]
    imported = {name.split(".")[0] for path in files for name in imports(path)}
    others = {"google", "google_crc32c", "jinja2", "lxml", "matplotlib", "PIL", "scipy", "tensorflow"}
    assert {"cv2", "numpy"} <= imported and not others & imported


def test_python_36_can_read_what_it_has_to():
    python36 = virtual_environments.find_interpreter(local_environment("train")).path
    rooms = ("stages", "train", "convert", "detect", "reference")
    wanted = [str(CLONE / "docker" / "health.py"), *(str(path) for path in STAGE_FILES if path.parent.name in rooms)]
    program = "import sys\nfor path in sys.argv[1:]:\n    compile(open(path, encoding='utf-8').read(), path, 'exec')"
    done = subprocess.run([str(python36), "-c", program, *wanted], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_stage_has_a_program_a_lock_and_a_page():
    for stage in TABLE:
        assert code_files(stage.module), stage.name
        assert local_environment(stage.environment).locks, stage.name
        assert (CLONE / "docs" / "stages" / f"{stage.name}.md").is_file(), stage.name


def test_a_stages_code_is_what_it_imports():
    files = {path.name for path in code_files("stages.data.records")}
    assert {"job.py", "pixels.py", "records.py"} <= files
    assert not {"train.py", "report.py"} & files


def test_generated_docs_are_up_to_date():
    for path, text in generated_docs().items():
        assert path.read_text(encoding="utf-8") == text, f"run ./run docs, {path.name} is old"


def test_links_in_the_docs_lead_somewhere():
    pages = [*CLONE.glob("*.md"), *(CLONE / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_lock_files_are_hashed_and_name_no_index():
    for lock in [*CLONE.glob("*.lock"), *CLONE.glob("docker/*/*.lock"), *CLONE.glob("tests/*.lock")]:
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text and "index-url" not in text and "find-links" not in text, lock


def test_an_interpreter_that_is_no_python36_is_refused(monkeypatch):
    with pytest.raises(EnvironmentNotReady, match="is not a Python 3.6"):
        virtual_environments.find_interpreter(local_environment("train"), "/bin/true")
