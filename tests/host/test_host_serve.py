"""Servers and shells of the local runner, as processes: when they say where they are, and that they end."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from nanoforge.files.scratch import scratch_folder

CLONE = Path(__file__).resolve().parents[2]
# The command itself, with the data environment's Python for the server.
DATA_PYTHON = os.environ["NANOFORGE_DATA_PYTHON"]
PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(CLONE)!r})
from nanoforge.runners import virtual_environments
virtual_environments.ensure = lambda *_: Path({DATA_PYTHON!r})
from nanoforge.__main__ import main
sys.argv[0] = "run"
main()
"""
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)")


@pytest.fixture
def project(tmp_path):
    """A project with a report, in a folder whose name holds what Compose and TensorBoard split at."""
    folder = tmp_path / "a:b,c"
    artifact = folder / "build" / "store" / "report" / "0123"
    artifact.mkdir(parents=True)
    (artifact / "report.html").write_text("the report")
    (artifact / "record.json").write_text("{}")
    (folder / "build" / "report").symlink_to("store/report/0123")
    (folder / "detector.toml").write_text('[dataset]\nclasses = ["cat"]\nrendered_pictures = 20\n')
    return folder


@contextmanager
def started(*words, folder, **options):
    """A command at work; whatever the test leaves running is ended."""
    command = subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM, *words, "--runner", "local"],
        cwd=folder,
        stdin=options.get("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A test run in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield command
    finally:
        for process in [*psutil.Process(command.pid).children(recursive=True)] if command.poll() is None else []:
            process.kill()
        command.kill()
        command.communicate()


def address(command):
    """Where the viewer says that it is, once it says so."""
    found = ADDRESS.search(command.stdout.readline())
    assert found
    return int(found.group(1))


def page(port, path="built/report/report.html"):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30).read().decode()


def test_the_address_is_said_when_it_can_be_opened(project):
    with started("view", "--port", "0", folder=project) as command:
        port = address(command)
        assert page(port) == "the report"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            page(port, "built/store/")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_a_server_gets_0_one_line_and_a_free_port(project, number):
    with started("view", "--port", "0", folder=project) as command:
        port = address(command)
        (server,) = psutil.Process(command.pid).children()
        command.send_signal(number)
        # Asked while the address is still being printed, it may be printed twice.
        assert command.communicate(timeout=60)[0].endswith("view has ended.\n") and command.returncode == 0
        assert not server.is_running()
        with pytest.raises(urllib.error.URLError):
            page(port)


def test_a_server_ends_with_its_killed_runner(project):
    with started("view", "--port", "0", folder=project) as command:
        address(command)
        (server,) = psutil.Process(command.pid).children()
        command.kill()
        assert psutil.wait_procs([server], 60)[1] == []


def test_a_file_of_the_current_folder_is_not_taken_for_a_module(project, tmp_path):
    for name in ("html", "http", "json", "stages", "starlette", "uvicorn", "sqlite3"):
        (project / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})")
    with started("view", "--port", "0", folder=project) as command:
        assert "report" in page(address(command), "built/")
    assert not (tmp_path / "executed").exists()


NO_PORTS = [
    ("view", "65536"),
    ("tensorboard", "-1"),
    *(
        pytest.param(*one, marks=pytest.mark.slow)
        for one in (("view", "99999"), ("view", "-1"), ("tensorboard", "99999"), ("tensorboard", "65536"))
    ),
]


@pytest.mark.parametrize("task, port", NO_PORTS)
def test_a_port_that_does_not_exist_is_named_and_nothing_else_said(project, task, port):
    with started(task, f"--port={port}", folder=project) as command:
        said = command.communicate(timeout=60)[0]
    assert (command.returncode, said) == (2, f"--port {port}: expected 1 to 65535, or 0 for one that is free.\n")


@pytest.mark.parametrize("interface", ["127.0.0.1", "0.0.0.0"])
def test_a_port_where_another_program_listens_is_told_before_anything_else(project, interface):
    with socket.socket() as other:
        other.bind((interface, 0))
        other.listen()
        port = other.getsockname()[1]
        with started("view", "--port", str(port), folder=project) as command:
            said = command.communicate(timeout=60)[0]
    assert command.returncode == 2
    assert said.startswith(f"--port {port}: another program listens there; name another port") and "http" not in said


@pytest.mark.parametrize("task", ["view", "tensorboard"])
def test_a_project_that_was_never_built_has_nothing_to_show(project, task):
    (project / "build" / "report").unlink()
    with started(task, "--port", "0", folder=project) as command:
        said = command.communicate(timeout=60)[0]
    assert command.returncode == 1 and re.search("run `(build|train)` first", said) and "Traceback" not in said


def shells(cache):
    return list((cache / "shells").glob("*"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_shell_gives_its_exit_code_and_leaves_no_folder(project, cache):
    with started("shell", "data", folder=project, stdin=subprocess.PIPE) as command:
        said = command.communicate("touch mine; chmod 0 .; echo $((40 + 2)); exit 5", timeout=60)[0]
    assert (command.returncode, said) == (5, "42\n") and shells(cache) == []


def test_a_shell_that_a_signal_ends_gives_the_code_that_shells_give(project, cache):
    with started("shell", "data", folder=project, stdin=subprocess.PIPE) as command:
        command.communicate("kill -9 $$", timeout=60)
    assert command.returncode == 137 and shells(cache) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_shell_that_is_ended_takes_its_programs_and_its_folder_with_it(project, cache, number):
    with started("shell", "data", folder=project, stdin=subprocess.PIPE) as command:
        command.stdin.write("echo ready; sleep 600\n")
        command.stdin.flush()
        assert command.stdout.readline() == "ready\n"
        family = psutil.Process(command.pid).children(recursive=True)
        command.send_signal(number)
        assert command.wait(60) == 130
        assert psutil.wait_procs(family, 60)[1] == [] and shells(cache) == []


def test_a_shell_that_is_ended_while_it_starts_is_found_all_the_same():
    program = f"""
import subprocess, sys
sys.path.insert(0, {str(CLONE)!r})
from nanoforge.commands import shell

class InterruptedPopen(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        print(self.pid, flush=True)
        raise KeyboardInterrupt

subprocess.Popen = InterruptedPopen
shell._run(["sleep", "600"], {{"PATH": "/usr/bin:/bin"}}, ".", lambda: None)
"""
    ended = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0 and not psutil.pid_exists(int(ended.stdout))


def test_what_a_killed_shell_left_goes_with_the_next_and_what_is_in_use_stays(project, cache):
    with scratch_folder(cache / "shells", "shell") as in_use:
        with started("shell", "data", folder=project, stdin=subprocess.PIPE) as command:
            command.stdin.write("mkdir locked; chmod 0 locked; echo ready; read never\n")
            command.stdin.flush()
            assert command.stdout.readline() == "ready\n"
            assert len(shells(cache)) == 2
            for process in [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]:
                process.kill()
            command.wait(60)
            assert len(shells(cache)) == 2
        with started("shell", "data", folder=project, stdin=subprocess.PIPE) as command:
            command.communicate("exit 0", timeout=60)
        assert shells(cache) == [in_use]
