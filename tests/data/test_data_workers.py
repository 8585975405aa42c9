import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages import workers
from stages.job import BadInput, StageFailed


def double(number):
    return number * 2


def refuse_three(number):
    if number == 3:
        raise BadInput("no three")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_order(processes):
    assert list(workers.in_order(double, range(40), processes)) == list(range(0, 80, 2))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_at_its_turn(processes):
    results = workers.in_order(refuse_three, range(9), processes)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BadInput, match="no three"):
        next(results)


def test_no_more_than_a_few_items_are_taken_ahead():
    taken = []
    results = workers.in_order(double, (taken.append(number) or number for number in range(1000)), 2)
    next(results)
    assert len(taken) <= 2 * workers.AHEAD
    results.close()


def test_a_killed_process_is_one_sentence():
    with pytest.raises(StageFailed, match="lack of memory"):
        list(workers.in_order(die, range(4), 2))


# Starts a stage as the runner does, and says under which id it runs, which is its session's too.
RUNNER = """
import os, subprocess, sys
stage = subprocess.Popen(
    [sys.executable, "-m", "stages.demo.render", sys.argv[1]],
    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
    env={**os.environ, "NANOFORGE_PARENT_PIPE": "1"},
)
print(stage.pid, flush=True)
stage.wait()
"""


def running_in(session):
    """The processes of a session that run: command lines by id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if os.getsid(int(folder.name)) == session and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
        except (OSError, ProcessLookupError):
            continue
    return found


def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@pytest.mark.parametrize("whom", ["both", *(pytest.param(one, marks=pytest.mark.slow) for one in ("stage", "runner"))])
def test_no_process_is_left_when_runner_or_stage_are_killed(tmp_path, whom):
    for name in ("output", "scratch"):
        (tmp_path / name).mkdir()
    job = {"stage": "render", "inputs": {}, "parameters": {"pictures": 100000, "seed": 0}, "cpus": 3}
    job.update(output=str(tmp_path / "output"), scratch=str(tmp_path / "scratch"))
    (tmp_path / "job.json").write_text(json.dumps(job))
    home = Path(__file__).resolve().parents[2]
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path / "job.json")],
        stdout=subprocess.PIPE,
        cwd=str(home),
        env={**os.environ, "PYTHONPATH": str(home)},
    )
    with runner:
        stage = int(runner.stdout.readline())
        pictures = tmp_path / "output" / "JPEGImages"
        until(lambda: pictures.is_dir() and len(list(pictures.iterdir())) > 3, lambda: "nothing was rendered")
        assert len(running_in(stage)) >= 4  # the stage, its processes, and what multiprocessing has beside them
        for pid in {"stage": [stage], "runner": [runner.pid], "both": [stage, runner.pid]}[whom]:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not running_in(stage), lambda: running_in(stage))
