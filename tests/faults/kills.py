"""Kills: each signal, to the command, to its stage or to both, at a drawn moment of each stage."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Optional

import judge
import psutil
from tally import Draw, Tally
from world import STAGES, World, ended

DONE = (
    "SIGKILL, SIGTERM, SIGINT or SIGHUP to the command, to its stage, or to both, after a drawn line of the "
    "stage's log and a drawn part of a second; then the same command again; of the stages with TensorFlow train, "
    "export and convert, with `--full` every stage in every way"
)
JUDGED = (
    "the command tells it (0, 1 or 130; or dies of the signal), nothing runs on, no temporary file stays, the "
    "next run makes the same bytes as one that nobody killed (train: the same steps and files), `gc` leaves what "
    "it always leaves"
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TARGETS = ("command", "stage", "both")
WITH_TENSORFLOW = ("train", "evaluate", "export", "audit", "convert")
SOME_WITH_TENSORFLOW = ("train", "export", "convert")
TASKS = {"render": "records"}  # a stage without a command of its own
PAUSE_S = 0.7


def draws(full: bool, seed: int) -> List[Draw]:
    """Few: one for each way to kill, a stage or two each, three of those with TensorFlow; full: each way for each."""
    ways = list(itertools.product(SIGNALS, TARGETS))
    random.Random(f"{seed} kills").shuffle(ways)
    quick = [stage for stage in STAGES if stage not in WITH_TENSORFLOW]
    turns = itertools.product(STAGES, ways) if full else zip([*SOME_WITH_TENSORFLOW, *quick, *quick], ways)
    return [
        Draw(
            "kills",
            f"kills: {stage}, {signal.Signals(number).name} to {target}",
            functools.partial(_kill, stage, number, target),
        )
        for stage, (number, target) in turns
    ]


def _kill(stage: str, number: int, target: str, world: World, tally: Tally) -> None:
    project = world.project(without=[stage])
    before = judge.users_files(project)
    lines = len(_log(world.template, stage).read_text(encoding="utf-8", errors="replace").splitlines())
    moment, pause = world.random.randint(0, lines), world.random.uniform(0, PAUSE_S)
    task = TASKS.get(stage, stage)
    with tally.case(f"line {moment} of {lines} and {pause:.2f} s"):
        command = world.start(task, cwd=project)
        _wait(command, project, stage, moment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(pause)
        _send(command, number, target)
        done = ended(command, [task])
        judge.told(done, codes=(0, 1, 130, -number))
        world.ends()
        again = world.run(task, cwd=project)
        judge.told(again, codes=[0])
        judge.equal(project, world.template, stage)
        judge.told(world.run("gc", cwd=project), codes=[0])
        judge.nothing_aside(project, world.template)
        judge.empty(world.temporary, "the folder of temporary files")
        judge.same(before, judge.users_files(project), "the user's files")


def _log(project: Path, stage: str) -> Path:
    found: List[Path] = sorted((project / "build" / "logs").glob(f"{stage}-*.log"))
    return found[-1] if found else project / "none"


def _wait(command: subprocess.Popen[bytes], project: Path, stage: str, moment: int) -> None:
    """Until the stage's log has so many lines, and with 0 of them until the log is there; or the command has ended."""
    while command.poll() is None:
        log = _log(project, stage)
        if log.is_file() and log.read_bytes().count(b"\n") >= moment:
            return
        time.sleep(0.01)


def _send(command: subprocess.Popen[bytes], number: int, target: str) -> None:
    stage = _stage_of(command.pid)
    with contextlib.suppress(ProcessLookupError):
        if target != "stage":
            os.kill(command.pid, number)
    with contextlib.suppress(ProcessLookupError):
        if target != "command" and stage:
            os.kill(stage, number)


def _stage_of(pid: int) -> Optional[int]:
    """The stage's own process: not the workers that it starts, which are its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            return int(child.pid)
    return None
