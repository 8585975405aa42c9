"""A stage run once on files named on the command line, outside of any project's store."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.runners.contract import EventSink, Limits, Outcome, Program, StageInput, StageRun
from nanoforge.runners.placement import Placement, owner_of
from nanoforge.stop import Stop


class AdhocRun(NamedTuple):
    """What to run, and on what."""

    program: Program
    inputs: Mapping[str, Path]
    parameters: Mapping[str, Any]


def run_adhoc(work: AdhocRun, console: Console, out: Path, placement: Placement) -> Outcome:
    """Run the stage and make ``out`` its output folder; nothing is left behind when it fails.

    Raises:
        BadInput: an input is not there, or ``out`` holds something already.
    """
    for name, path in work.inputs.items():
        given = f"(given as {name.replace('_', ' ')})"
        if not path.exists():
            raise BadInput(f"{work.program.name}: there is no {path} {given}.")
        if not path.is_file() and not path.is_dir():
            raise BadInput(f"{work.program.name}: {path} {given} is neither a file nor a folder.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists already and is not empty: name a new folder, or remove it.")
    runner = placement.runner(work.program.name, work.program.environment)
    runner.prepare()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{work.program.name}-", dir=out.parent))
    log = Path(tempfile.gettempdir()) / f"nanoforge-{work.program.name}-{os.getpid()}.log"
    run = StageRun(
        stage=work.program.name,
        module=work.program.module,
        inputs={name: StageInput(path.resolve()) for name, path in work.inputs.items()},
        parameters=work.parameters,
        output=scratch / "output",
        scratch=scratch / "scratch",
        log=log,
        limits=Limits(0, 0),
        work_id=str(scratch),
        owner=owner_of(out),
    )
    stop = Stop()
    try:
        with ThreadPoolExecutor(1) as pool, console.bar(work.program.name) as bar:
            running = pool.submit(runner.run, run, EventSink(bar.update, console.warn), stop)
            try:
                outcome = running.result()
            except KeyboardInterrupt:
                stop.ask()
                raise
        os.rename(run.output, out)
        log.unlink()
        log.with_suffix(".json").unlink() if log.with_suffix(".json").exists() else None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return outcome


def optional_inputs(**paths: Optional[str]) -> Mapping[str, Path]:
    """The inputs that were named, as paths."""
    return {name: Path(path).expanduser() for name, path in paths.items() if path}
