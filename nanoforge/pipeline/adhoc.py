"""A stage run once on files named on the command line, outside of any project's store."""

from __future__ import annotations

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

from nanoforge.console import Console
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.atomic import fsync_folder, fsync_tree
from nanoforge.files.logs import new_log
from nanoforge.files.paths import user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.runners.contract import EventSink, Outcome, Program, Runner, StageInput, StageRun
from nanoforge.runners.placement import Placement, owner_of
from nanoforge.stop import Stop

LEAST_ROOM = 1 << 20


class AdhocRun(NamedTuple):
    """What to run, and on what.

    ``kept_if_failed``: what it made tells why it failed, and is wanted then too; ``changes``: as `StageRun` has it.
    ``links``: name in the output -> the folder that a link of that name leads to, which only the host can make.
    """

    program: Program
    inputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    kept_if_failed: bool = False
    changes: Optional[str] = None
    links: Mapping[str, Path] = {}


def run_adhoc(work: AdhocRun, console: Console, out: Path, placement: Placement) -> Outcome:
    """Run the stage and make ``out`` its output folder; of a failure only what is wanted is left, and the log it names.

    Raises:
        BadInput: an input is not there, or ``out`` cannot become a folder; said before anything runs.
    """
    for name, path in work.inputs.items():
        given = f"(given as {name.replace('_', ' ')})"
        if not path.exists():
            raise BadInput(f"{work.program.name}: there is no {path} {given}.")
        if not path.is_file() and not path.is_dir():
            raise BadInput(f"{work.program.name}: {path} {given} is neither a file nor a folder.")
    _check_place(out, work.inputs)
    with scratch_folder(out.parent, work.program.name) as scratch:
        if shutil.disk_usage(scratch).free < LEAST_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out.parent))
        runner = placement.runner(work.program.name, work.program.environment)
        runner.prepare()
        log = new_log(work.program.name)
        run = StageRun(
            stage=work.program.name,
            module=work.program.module,
            inputs={name: StageInput(path.resolve()) for name, path in work.inputs.items()},
            parameters=work.parameters,
            output=scratch / "output",
            scratch=scratch / "scratch",
            log=log,
            limits=placement.limits,
            work_id=str(scratch),
            owner=owner_of(out),
            changes=work.changes,
        )
        try:
            outcome = _run(runner, run, console)
            for name, goal in work.links.items():
                os.symlink(goal, run.output / name)
            _appear(run.output, out)
        except StageFailed:
            if work.kept_if_failed and run.output.is_dir() and any(run.output.iterdir()):
                _appear(run.output, out)
            raise
        except BaseException as error:
            if str(log) not in str(error):
                _remove_log(log)
            raise
        _remove_log(log)
    return outcome


def _appear(output: Path, out: Path) -> None:
    fsync_tree(output)
    os.rename(output, out)
    fsync_folder(out.parent)


def _check_place(out: Path, inputs: Mapping[str, Path]) -> None:
    check_no_link(out)
    if out.is_file():
        raise BadInput(f"{out} is a file: name a new folder.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists already and is not empty: name a new folder, or remove it.")
    if os.path.ismount(out):
        raise BadInput(f"{out} is a disk's own folder, which cannot be replaced: name a new folder in it.")
    real = out.resolve()
    for path in inputs.values():
        if path.is_dir() and path.resolve() in (real, *real.parents):
            raise BadInput(f"{out} lies inside {path}, which is read: name a folder elsewhere.")


def check_no_link(path: Path) -> None:
    """Results do not go through links.

    Raises:
        BadInput: there is one.
    """
    if path.is_symlink():
        raise BadInput(f"{path} is a link (to {os.readlink(path)}): name a place that is not there yet.")


def _run(runner: Runner, run: StageRun, console: Console) -> Outcome:
    stop = Stop()
    with ThreadPoolExecutor(1) as pool, console.bar(run.stage) as bar:
        try:
            return pool.submit(runner.run, run, EventSink(bar.update, console.warn), stop).result()
        except KeyboardInterrupt:
            stop.ask()
            raise


def _remove_log(log: Path) -> None:
    for path in (log, log.with_suffix(".json")):
        path.unlink(missing_ok=True)


def optional_inputs(**paths: Optional[str]) -> Mapping[str, Path]:
    """The inputs that were named, as paths."""
    return {name: user_path(path) for name, path in paths.items() if path}
