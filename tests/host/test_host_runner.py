"""The local runner: limits, failures, and that nothing goes on running when its runner ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.build import build

CLONE = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        ({"bad_input": "a.xml line 3 is wrong"}, BadInput, "a.xml line 3 is wrong"),
        ({"fail": "no space"}, StageFailed, "no space"),
        ({"crash": "ouch"}, StageFailed, "RuntimeError: ouch"),
        ({"exit": 7}, StageFailed, "exit code 7"),
    ],
)
def test_each_way_to_fail_is_one_sentence_with_the_log(home, photos, behaviour, error, words):
    home.behave(records=behaviour)
    with pytest.raises(error, match=words) as caught:
        build(photos.project(), "records")
    log = Path(str(caught.value).rsplit("Log: ", 1)[1])
    assert log.is_file()
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("number", ["SIGABRT", "SIGSEGV"])
def test_what_compiled_code_ends_is_told_by_what_the_stage_said_beforehand(home, photos, number):
    home.module("records").write_text(
        "import os, signal\nfrom stages import job\n"
        "def main(work):\n"
        "    work.explain_crash('the graph a.pb is damaged')\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
        "job.run(main)\n"
    )
    with pytest.raises(BadInput, match=r"records: the graph a\.pb is damaged Log: "):
        build(photos.project(), "records")


def test_a_stage_over_its_memory_is_ended_and_explained(home, photos):
    home.behave(records={"eat_mb": 400})
    with pytest.raises(StageFailed, match="more than its 200 MiB of memory"):
        build(photos.project("runner.memory_mb=200"), "records")


def test_a_stage_gets_the_processors_it_may_use(home, photos):
    home.module("records").write_text(
        "import os, json\nfrom stages import job\n"
        "def main(work):\n"
        "    with open(work.out('cpus.json'), 'w') as stream:\n"
        "        json.dump([work.cpus, len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS']], stream)\n"
        "job.run(main)\n"
    )
    folder = build(photos.project("runner.cpus=1"), "records").folder
    assert json.loads((folder / "cpus.json").read_text()) == [1, 1, "1"]


def test_a_stage_does_not_see_the_users_environment(home, photos, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    home.module("records").write_text(
        "import os\nfrom stages import job\n"
        "def main(work):\n"
        "    open(work.out('env.txt'), 'w').write(' '.join(os.environ))\n"
        "job.run(main)\n"
    )
    folder = build(photos.project(), "records").folder
    assert "SECRET_TOKEN" not in (folder / "env.txt").read_text()


def test_a_torn_event_line_does_not_end_the_run(home, photos):
    home.module("records").write_text(
        "import sys\nfrom stages import job\n"
        "def main(work):\n"
        '    print(\'::nanoforge:: {"progress": {"done"\')\n'
        '    print(\'noise ::nanoforge:: {"metrics": {"images": 5}}\', flush=True)\n'
        "job.run(main)\n"
    )
    assert build(photos.project(), "records").metrics == {"images": 5}


# A runner process of its own, so that it can be interrupted and killed: the fixtures' stand-ins, without pytest.
SCRIPT = """
import sys
from pathlib import Path
from nanoforge.cli import command
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.pipeline import fingerprint
from nanoforge.pipeline.build import build
from nanoforge.pipeline.project import Project
from nanoforge.runners import local, placement, virtual_environments
home = Path(sys.argv[1])
for module in (local, fingerprint, compose):
    module.HOME = home
placement.answers = lambda: None
virtual_environments.ensure = lambda *_: Path(sys.executable)
virtual_environments.describe = lambda _: {}
from invoke.context import Context
from invoke.exceptions import Exit

@command()
def go(_c):
    build(Project(Path(sys.argv[2]) / "detector.toml", sys.argv[3:], Console()), "records")

try:
    go(Context())
except Exit as end:
    print(end.message, file=sys.stderr)
    sys.exit(end.code)
"""


def start(home, photos, *overrides):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home.folder), str(photos.folder), *overrides],
        cwd=CLONE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])},
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def family_of(process):
    """The stage and its child, once they are there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        family = psutil.Process(process.pid).children(recursive=True)
        if len(family) == 2:
            return family
        time.sleep(0.05)
    raise AssertionError("the stage did not start")


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_nothing_goes_on_running_when_the_runner_ends(home, photos, end, code):
    home.behave(records={"child": True, "sleep": 300})
    process = start(home, photos)
    family = family_of(process)
    process.send_signal(end)
    assert process.wait(30) == code
    process.stderr.close()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    home.behave()
    home.ran()
    build(photos.project(), "records")
    assert home.ran() == ["records"]


def test_a_second_command_waits_and_says_for_whom(home, photos):
    home.behave(records={"child": True, "sleep": 3})
    first = start(home, photos)
    family_of(first)
    assert photos.project().running_stages() == ["records"]
    second = start(home, photos)
    _, said = second.communicate(timeout=60)
    assert first.wait(30) == 0 and second.returncode == 0
    first.stderr.close()
    assert "waiting for" in said and f"process {first.pid}" in said
    assert home.ran() == ["records"]
    assert photos.project().running_stages() == []
