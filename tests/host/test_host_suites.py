"""`./run test`: which suites run, what it says while they do, and that it ends what it started."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from nanoforge.console import Console
from nanoforge.dev import tests as suites
from nanoforge.dev.processes import Command, run_beside, run_shown
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed

CLONE = Path(__file__).resolve().parents[2]


def python(title, program):
    return Command(title, [sys.executable, "-c", textwrap.dedent(program)], os.environ)


def test_a_line_tells_when_a_command_starts_and_one_how_it_ended(capfd):
    failed = run_beside([python("good", "print('12 passed')"), python("bad", "exit('no')")], 1, Console())
    said = capfd.readouterr().err
    assert failed == ["bad"]
    order = [
        said.index(words) for words in ("good: starts", "good: passed in", "(12 passed)", "bad: starts", "bad: failed")
    ]
    assert order == sorted(order)


def test_what_a_command_prints_is_shown_only_if_it_fails(capfd):
    run_beside(
        [python("good", "print('all [is] well')\nprint('end')"), python("bad", "print('[why]'); exit(1)")], 2, Console()
    )
    said = capfd.readouterr().err
    assert "well" not in said and "--- bad printed:\n[why]\n" in said


def test_commands_run_beside_each_other(tmp_path):
    """Each waits for the other's file, so one after the other they would fail."""
    meet = """
        import pathlib, sys, time
        folder = pathlib.Path({folder!r})
        (folder / "{mine}").touch()
        sys.exit(not any((folder / "{other}").exists() or time.sleep(0.05) for _ in range(600)))
    """
    pair = [python(mine, meet.format(folder=str(tmp_path), mine=mine, other=other)) for mine, other in ("ab", "ba")]
    assert run_beside(pair, 2, Console()) == []


def test_a_suite_that_is_run_alone_shows_what_it_prints(capfd):
    assert run_shown([python("bad", "print('here I am'); exit(1)")], Console()) == ["bad"]
    told = capfd.readouterr()
    assert "here I am" in told.out and "bad: failed" in told.err


SERVER = ["-m", "stages.parent", "http.server", "--bind", "127.0.0.1", "0"]
PARENT = ["-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"]


@pytest.mark.parametrize(
    "words, processes, end",
    [
        (PARENT, 4, signal.SIGINT),
        (PARENT, 4, signal.SIGTERM),
        (PARENT, 4, signal.SIGHUP),
        (SERVER, 2, signal.SIGKILL),
    ],
)
def test_whatever_ends_it_ends_everything_that_runs(words, processes, end):
    program = f"""
        import os, sys
        from nanoforge.console import Console
        from nanoforge.dev.processes import Command, run_beside
        from nanoforge.endings import hear_signals
        hear_signals()
        run_beside([Command(name, [sys.executable, *{words!r}], os.environ) for name in "ab"], 2, Console())
    """
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    command = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 30
    while len(family := started(command.pid)) < processes:
        assert time.monotonic() < deadline, family
        time.sleep(0.05)
    command.send_signal(end)
    command.wait(60)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_a_suite_that_has_the_terminal_hears_of_a_signal_that_only_this_got(tmp_path):
    """As Ctrl-C, so that pytest tears its fixtures down."""
    wait = "import atexit, time; atexit.register(print, 'torn down'); print('runs', flush=True); time.sleep(600)"
    program = f"""
        import os, signal, sys
        from nanoforge.console import Console
        from nanoforge.dev.processes import Command, run_shown
        from nanoforge.endings import hear_signals
        signal.signal(signal.SIGINT, signal.default_int_handler)
        hear_signals()
        run_shown([Command("a", [sys.executable, "-c", {wait!r}], os.environ)], Console())
    """
    command = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert command.stdout.readline() == "runs\n"
    command.send_signal(signal.SIGTERM)
    assert command.communicate(timeout=60)[0] == "torn down\n"


def started(pid):
    """What it started so far, once a server listens."""
    family = psutil.Process(pid).children(recursive=True)
    servers = [process for process in family if "http.server" in " ".join(process.cmdline())]
    return family if all(server.net_connections() for server in servers) else []


def test_what_a_command_leaves_running_is_ended_with_it():
    left = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    console = Console()
    said = []
    console.say = console.warn = said.append
    assert run_beside([Command("a", [sys.executable, "-c", left + "; exit(1)"], os.environ)], 1, console) == ["a"]
    (pid,) = [int(line) for text in said for line in text.splitlines() if line.isdigit()]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def ran(monkeypatch):
    """The titles of what `test` would run; nothing runs."""
    titles = []
    for name in ("run_beside", "run_shown"):
        monkeypatch.setattr(suites, name, lambda commands, *_: titles.extend(one.title for one in commands) or [])
    found = suites.SuitePython(Path(sys.executable), Path("overlay"))
    monkeypatch.setattr(suites, "_prepared", lambda *_: dict.fromkeys(suites.ENVIRONMENTS, found))
    return titles


def test_every_suite_is_a_folder_and_every_folder_a_suite():
    folders = {path.parent.name for path in (CLONE / "tests").glob("*/test_*.py")}
    assert set(suites.NAMES) == folders


def test_without_all_the_checks_and_the_fast_suites_run(ran):
    suites.test("", False, False)
    assert {"ruff check", "ruff format", "mypy", "tests/host by host", "tests/detect by data"} <= set(ran)
    assert not any(f"tests/{slow} " in title for slow in suites.SLOW_SUITES for title in ran)
    assert "tests/detect by train" not in ran


def test_one_suite_runs_by_each_of_its_environments_and_without_checks(ran):
    suites.test("detect", False, False)
    assert sorted(ran) == ["tests/detect by data", "tests/detect by train"]


def test_all_needs_a_docker_daemon_before_anything_runs(ran, monkeypatch):
    monkeypatch.setattr(suites, "answers", lambda: None)
    with pytest.raises(EnvironmentNotReady, match="none answers"):
        suites.test("", True, False)
    monkeypatch.setattr(suites, "answers", lambda: "it")
    assert ran == []
    suites.test("", True, False)
    assert {f"tests/{name}" for name in suites.NAMES} == {
        title.split()[0] for title in ran if title.startswith("tests/")
    }


def test_preparing_runs_nothing_and_needs_no_daemon(ran, monkeypatch):
    monkeypatch.setattr(suites, "answers", lambda: None)
    suites.test("", True, True)
    assert ran == []


def test_what_failed_is_named(ran, monkeypatch):
    monkeypatch.setattr(suites, "run_shown", lambda *_: ["tests/data by data"])
    with pytest.raises(StageFailed, match="Failed: tests/data by data"):
        suites.test("data", False, False)


def test_an_unknown_suite_is_refused_with_the_names():
    with pytest.raises(BadInput, match="Unknown suite kitchen; suites are browser, chain"):
        suites.test("kitchen", False, False)


@pytest.fixture
def made(monkeypatch):
    """The names of the environments, and of the overlays beside them, that are asked for; none is made."""
    asked = []

    def ensure(environment, _console):
        asked.append(getattr(environment, "name", environment))
        return Path("environments") / asked[-1] / "bin" / "python"

    def ensure_overlay(environment, lock, _python, _console):
        asked.append(f"{environment}+{lock.stem}")
        return Path("environments") / asked[-1]

    monkeypatch.setattr(suites.virtual_environments, "ensure", ensure)
    monkeypatch.setattr(suites.virtual_environments, "ensure_overlay", ensure_overlay)
    monkeypatch.setattr(suites, "run_beside", lambda *_: [])
    return asked


FAST = {"data", "train", "host+requirements-host", "data+requirements-data", "train+requirements-train"}
OTHERS = {"tensorflow19", "tensorflow113", "tensorflow114", "tensorflow115"}
PACKAGES = {"train+object_detection-2019-05", "train+object_detection-2019-09"}


ALL = FAST | OTHERS | PACKAGES | {"host+requirements-rtx", "host+requirements-exchange"}


@pytest.mark.parametrize("everything, wanted", [(False, FAST), (True, ALL)])
def test_the_environments_of_what_runs_are_made_and_no_others(made, monkeypatch, everything, wanted):
    monkeypatch.setattr(suites, "answers", lambda: "it")
    suites.test("", everything, False)
    assert set(made) == wanted


def test_environments_are_made_side_by_side(made, monkeypatch):
    """Each waits until another one is asked for, so one after the other they would time out."""
    both = threading.Barrier(2, timeout=30)
    monkeypatch.setattr(suites.virtual_environments, "ensure", lambda *_: Path("a/b") / str(both.wait()))
    suites.test("", False, True)
    assert not both.broken


def test_an_environment_that_cannot_be_made_is_told(made, monkeypatch):
    def fail(*_):
        raise EnvironmentNotReady("no network")

    monkeypatch.setattr(suites.virtual_environments, "ensure", fail)
    with pytest.raises(EnvironmentNotReady, match="no network"):
        suites.test("", False, True)


def test_without_other_tools_their_tests_are_left_out_aloud(monkeypatch, capfd):
    def ensure(environment, lock, python, console):
        assert lock.is_file()
        if python.name == "none":
            raise EnvironmentNotReady("the Python package index cannot be reached")
        return Path("/") / lock.stem

    monkeypatch.setattr(suites.virtual_environments, "ensure_overlay", ensure)
    found = suites._other_tools(suites.OTHER_TOOLS, Path("python"), Console())
    assert found == {"NANOFORGE_RTX": "/requirements-rtx", "NANOFORGE_EXCHANGE": "/requirements-exchange"}
    assert capfd.readouterr().err == ""
    assert suites._other_tools(suites.OTHER_TOOLS, Path("none"), Console()) == {}
    told = capfd.readouterr().err
    assert "TensorRT-RTX cannot be installed" in told and "datumaro, supervision" in told
