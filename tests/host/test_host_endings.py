"""How commands end when the system refuses: one sentence with the right cause, the right code, never a traceback."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from filelock import Timeout

from nanoforge import endings
from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.build import build
from nanoforge.system_errors import as_nanoforge_error

CLONE = Path(__file__).resolve().parents[2]
# Root may do everything: without these rights it may do no more than any user with what is its own.
LIKE_A_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
PYTHONPATH = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])


# As ./run does it; the other way reads sitecustomize.py, by which tests break something inside.
AS_USUAL, PREPARED = ["-I", str(CLONE / "stages" / "start.py"), "nanoforge"], ["-m", "nanoforge"]


def command(*words, how=AS_USUAL):
    return [*LIKE_A_USER, sys.executable, *how, *words]


def run(*words, cwd, **options):
    how = PREPARED if "PYTHONPATH" in options.get("env", {}) else AS_USUAL
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "120", **options.pop("env", {})}
    for name in [name for name, value in environment.items() if value is None]:
        del environment[name]
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, **options}
    return subprocess.run(command(*words, how=how), cwd=cwd, env=environment, encoding="utf-8", **given)


def says(done, code, *words):
    """The command ended with this code and one sentence that holds the words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "A bug of" not in done.stderr, done.stderr
    assert [word for word in words if word not in done.stderr] == [], done.stderr


@pytest.fixture
def closed(tmp_path):
    """Take rights from folders; the test's end gives them back, so that they can be removed."""
    changed = []

    def close(folder, mode=0o555):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        changed.append(folder)
        return folder

    yield close
    for folder in changed:
        folder.chmod(0o755)


def test_a_build_folder_that_may_not_be_written_is_named(photos, closed):
    closed(photos.folder / "build")
    says(run("status", cwd=photos.folder), 2, f"{photos.folder}/build", "permission denied", "chmod")


def test_a_project_folder_that_may_not_be_written_is_named(photos, closed):
    closed(photos.folder)
    says(run("status", cwd=photos.folder), 2, f"permission denied by {photos.folder}.")


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_photos_that_may_not_be_read_are_named(photos, closed, mode):
    photos.write("photos/JPEGImages/private/a.jpg", "mine")
    closed(photos.folder / "photos" / "JPEGImages" / "private", mode)
    says(run("records", "--runner", "local", cwd=photos.folder), 2, "photos/JPEGImages/private", "Permission denied")


def test_a_file_in_place_of_the_build_folder_is_named(photos):
    (photos.folder / "build").write_text("mine")
    says(run("status", cwd=photos.folder), 2, f"{photos.folder}/build is a file")
    assert (photos.folder / "build").read_text() == "mine"


def test_a_build_folder_that_links_to_nothing_is_named(photos):
    (photos.folder / "build").symlink_to("/nowhere/build")
    says(run("status", cwd=photos.folder), 2, f"{photos.folder}/build is a link to /nowhere/build, which is not there")


def test_a_link_that_leads_to_itself_is_named(photos):
    (photos.folder / "build").symlink_to("build")
    says(run("status", cwd=photos.folder), 2, f"{photos.folder}/build", "link")


def test_a_name_that_is_too_long_is_told_shortly(tmp_path):
    done = run("status", "--config", "a" * 5000, cwd=tmp_path)
    says(done, 2, "(5", "characters): shorten it")
    assert len(done.stderr) < 400


@pytest.mark.parametrize(
    "words",
    [
        ("init", "~nosuchuser/p", "--folder", "new"),
        ("convert", "--graph", "g.pb", "--out", "~nosuchuser/out"),
        ("status", "--set", "dataset.photos='~nosuchuser/x'"),
    ],
)
def test_a_user_who_does_not_exist_is_named(photos, words):
    says(run(*words, cwd=photos.folder), 2, "~nosuchuser", "no user nosuchuser")


def test_without_a_home_the_user_database_tells_where_it_is_or_a_sentence_does(photos):
    done = run("status", cwd=photos.folder, env={"HOME": None, "XDG_CACHE_HOME": None, "NANOFORGE_CACHE": None})
    says(done, 0)


def test_a_question_without_a_terminal_says_which_option_answers_it(photos, home):
    build(photos.project(), "records")
    says(run("clean", cwd=photos.folder), 2, "--yes")


@pytest.mark.parametrize(
    "shell", ['{} help | true; exit "${{PIPESTATUS[0]}}"', "{} help >&-", "{} help 2>&-", "{} help <&- >&- 2>&-"]
)
def test_closed_streams_end_without_words(tmp_path, shell):
    line = shell.format(" ".join(command()))
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stderr == "" and done.returncode in (0, endings.READER_GONE)


def test_no_file_gets_the_number_of_a_closed_stream(photos):
    """Else what is printed would end up among the digests that are remembered."""
    line = f"{' '.join(command('status'))} >&- 2>&- <&-"
    for _ in range(2):
        subprocess.run(
            ["bash", "-c", line], cwd=photos.folder, env={**os.environ, "PYTHONPATH": PYTHONPATH}, check=True
        )
    says(run("status", cwd=photos.folder), 0)
    assert "damaged" not in run("status", cwd=photos.folder).stderr


@pytest.mark.parametrize("words", [["status"], ["help"], ["--version"]])
def test_a_full_disk_behind_standard_output_is_told(photos, words):
    with open("/dev/full", "w") as full:
        says(
            run(*words, cwd=photos.folder, capture_output=False, stdout=full, stderr=subprocess.PIPE),
            1,
            "disk is full",
        )


def test_too_few_files_may_be_open(photos, tmp_path):
    env = at_import(
        tmp_path, "nanoforge.pipeline.project", "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))"
    )
    says(run("status", cwd=photos.folder, env=env), 1, "Too many files are open", "ulimit -n")


def at_import(tmp_path, module, statement):
    """The environment of a process in which a statement is executed when a certain module is imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys
            class Strike:
                def find_spec(self, name, path=None, target=None):
                    if name == {module!r}:
                        sys.meta_path.remove(self)
                        {statement}
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.meta_path.insert(0, Strike())
            """
        )
    )
    return {"PYTHONPATH": f"{tmp_path}/site:{PYTHONPATH}"}


@pytest.mark.parametrize(
    "name, module",
    [
        ("SIGINT", "invoke"),
        ("SIGINT", "nanoforge.pipeline.project"),
        ("SIGTERM", "nanoforge.runners.local"),
        ("SIGHUP", "nanoforge.runners.local"),
    ],
)
def test_a_signal_while_modules_are_imported_ends_in_a_sentence(tmp_path, photos, name, module):
    """At the moment when a certain module is imported: Invoke, what a task needs, what it needs while it runs."""
    env = at_import(tmp_path, module, f"os.kill(os.getpid(), signal.{name})")
    done = run("status", cwd=photos.folder, env=env)
    says(done, 130, endings.INTERRUPTED)


def test_a_bug_is_a_sentence_and_its_traceback_is_in_a_private_log(photos, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import platform\nplatform.node = lambda: 1 / 0\n")
    env = {"PYTHONPATH": f"{tmp_path}/site:{PYTHONPATH}", "NANOFORGE_CACHE": str(tmp_path / "cache")}
    done = run("status", cwd=photos.folder, env=env)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (log,) = (tmp_path / "cache" / "logs").iterdir()
    assert "ZeroDivisionError" in done.stderr and str(log) in done.stderr and "1 / 0" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0 and log.parent.stat().st_mode & 0o077 == 0
    shown = run("status", cwd=photos.folder, env={**env, endings.DEBUG: "1"})
    assert shown.returncode == 1 and "Traceback" in shown.stderr


def test_of_old_logs_the_newest_are_kept(tmp_path, monkeypatch):
    from nanoforge.files import logs

    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path))
    for number in range(logs.KEPT + 5):
        log = logs.new_log("error")
        os.utime(log, (number, number))
    assert len(list((tmp_path / "logs").iterdir())) == logs.KEPT and log.exists()


def test_what_went_wrong_is_not_hidden_by_a_build_folder_that_is_gone(photos):
    import shutil

    project = photos.project()
    with pytest.raises(StageFailed, match="the true cause"), project.locked(), project.running("records"):
        shutil.rmtree(project.build)
        project.build.write_text("in the way")
        raise StageFailed("the true cause")


@pytest.mark.parametrize(
    "error, kind, words",
    [
        (Timeout("/build/lock"), StageFailed, "/build/lock"),
        (MemoryError(), StageFailed, "no memory left"),
        (RecursionError("maximum recursion depth exceeded"), BadInput, "nested too deeply"),
        (UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "invalid"), BadInput, "not UTF-8"),
        (UnicodeEncodeError("utf-8", "a\udce9.jpg", 1, 2, "surrogates"), BadInput, r"a\\udce9.jpg"),
        (subprocess.CalledProcessError(3, ["git", "describe"], stderr="fatal: no\n"), StageFailed, "fatal: no"),
        (OSError(28, "No space left on device", "/disk/x"), StageFailed, r"disk is full \(/disk/x\)"),
        (OSError(122, "Disk quota exceeded", "/disk/x"), StageFailed, "quota"),
        (OSError(30, "Read-only file system", "/disk/x"), BadInput, "/disk/x lies on a disk that can only be read"),
        (OSError(5, "Input/output error", "/disk/x"), StageFailed, "dmesg"),
        (OSError(116, "Stale file handle", "/disk/x"), StageFailed, "network disk"),
        (OSError(26, "Text file busy", "/disk/x"), BadInput, "runs right now"),
        (OSError(21, "Is a directory", "/tmp"), BadInput, "/tmp is a folder, and a file is needed"),
        (OSError(39, "Directory not empty", "/a", None, "/tmp"), BadInput, "/tmp is a folder that is not empty"),
    ],
)
def test_each_error_of_the_system_has_its_sentence(error, kind, words):
    told = as_nanoforge_error(error)
    assert type(told) is kind
    with pytest.raises(kind, match=words):
        raise told


def test_of_other_errors_nothing_is_known():
    assert as_nanoforge_error(KeyError("a")) is None and as_nanoforge_error(OSError("odd")) is None


def test_a_closed_terminal_ends_a_command_as_an_interruption_does(photos, home):
    home.behave(records={"sleep": 300})
    process = start_build(home, photos)
    while not photos.project().running_stages():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Interrupted" in said and "Traceback" not in said


def start_build(home, photos):
    from test_host_runner import start

    return start(home, photos)
