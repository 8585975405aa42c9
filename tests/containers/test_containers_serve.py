"""Servers and shells in real containers: whom they answer, and that they end with their runner."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import eventually, run

from nanoforge.containers.daemon import OWNER
from nanoforge.runners.placement import owner_of

CLONE = Path(__file__).resolve().parents[2]
# TensorBoard on a folder of events, whoever wrote them.
TENSORBOARD = """
import sys
from pathlib import Path
from nanoforge.commands import serve
from nanoforge.commands.options import StageOptions
from nanoforge.endings import hear_signals
hear_signals()
port = serve.free_port(0)
work = serve.Work(Path("events").absolute(), "127.0.0.1", port, f"TensorBoard: http://127.0.0.1:{port}/")
serve.serve(serve.base_of(StageOptions().project()), serve.TENSORBOARD, work)
"""


@pytest.fixture
def project(tmp_path):
    """A project with a report, in a folder whose name holds what Compose and TensorBoard split at."""
    folder = tmp_path / "a:b,c"
    artifact = folder / "build" / "store" / "report" / "0123"
    artifact.mkdir(parents=True)
    (folder / "events").mkdir()
    (folder / "build" / "logs").mkdir()
    (folder / "build" / "logs" / "train.log").write_text("secret")
    (artifact / "report.html").write_text("the report")
    (artifact / "record.json").write_text("{}")
    (folder / "build" / "report").symlink_to("store/report/0123")
    (folder / "detector.toml").write_text('[dataset]\nclasses = ["cat"]\n[runner]\nuse = "docker"\n')
    for base, names, _ in os.walk(tmp_path):
        for name in (".", *names):
            os.chmod(os.path.join(base, name), 0o755)
    return folder


def _hear_interrupts():
    # A test run in the background ignores Ctrl-C, and so would what it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(kind, folder):
    """A server at work, and the port that it says."""
    words = {
        "view": [str(CLONE / "run"), "view", "--port", "0"],
        "tensorboard": [sys.executable, "-c", TENSORBOARD],
    }
    server = subprocess.Popen(
        words[kind], cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_interrupts,
        env={**os.environ, "PYTHONPATH": str(CLONE)},
    )  # fmt: skip
    try:
        said = server.stderr.readline()
        yield server, int(re.search(r"http://127\.0\.0\.1:(\d+)/", said).group(1))
    finally:
        server.kill()
        server.communicate()


def containers_of(folder):
    return run("docker", "ps", "-aq", "--filter", f"label={OWNER}={owner_of(folder)}").stdout.split()


PAGES = {"view": "built/report/report.html", "tensorboard": "data/logdir"}


@pytest.mark.parametrize("kind", PAGES)
def test_what_is_announced_can_be_opened_here_and_under_no_other_name(project, kind):
    with started(kind, project) as (_, port):
        address = f"http://127.0.0.1:{port}/{PAGES[kind]}"
        assert urllib.request.urlopen(address, timeout=30).read()
        for path, host, code in ((PAGES[kind], "evil.example", 421), ("built/logs/train.log", "127.0.0.1", 404)):
            foreign = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Host": host})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(foreign, timeout=30)
            assert refused.value.code == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("kind", PAGES)
def test_a_server_ends_with_its_runner_however_that_ends(project, kind, number):
    with started(kind, project) as (server, _):
        assert len(containers_of(project)) == 1
        server.send_signal(number)
        assert server.wait(60) == (-9 if number == signal.SIGKILL else 0)
    assert eventually(lambda: not containers_of(project))


@contextmanager
def terminal(folder, cache):
    """A shell on a terminal of its own, which can be closed under it."""
    ours, theirs = os.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    shell = subprocess.Popen(
        [str(CLONE / "run"), "shell", "data", "--runner", "docker"], cwd=folder, preexec_fn=take_terminal,
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "NANOFORGE_CACHE": str(cache)},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield shell, ours
    finally:
        shell.kill()
        shell.wait()


def answered(terminal_end, question, answer):
    os.write(terminal_end, question.encode())
    seen = b""
    while answer not in seen:
        seen += os.read(terminal_end, 4096)


@pytest.mark.parametrize("how", ["exit", "hang up", "kill"])
def test_a_shell_ends_with_its_terminal_and_with_its_runner(project, how, tmp_path):
    # The host environment lies in the cache: this one shares it.
    cache = tmp_path / "cache"
    cache.mkdir()
    usual = Path(os.environ.get("NANOFORGE_CACHE") or Path.home() / ".cache" / "nanoforge")
    (cache / "environments").symlink_to(usual / "environments")
    with terminal(project, cache) as (shell, end):
        answered(end, "tty && echo $((40 + 2))ok\n", b"42ok")
        assert len(containers_of(project)) == 1
        if how == "exit":
            os.write(end, b"exit 7\n")
            assert shell.wait(60) == 7
        elif how == "hang up":
            os.close(end)
            shell.wait(60)
        else:
            shell.kill()
            shell.wait(60)
        assert eventually(lambda: not containers_of(project))
        if how != "kill":
            assert not (cache / "shells").exists()
