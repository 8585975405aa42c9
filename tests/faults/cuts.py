"""Cuts: every call of the host that changes a file fails, or is its last, one after the other."""

from __future__ import annotations

import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import inprocess
import judge
import serving
from inprocess import CRASH, CRASHES, ERRORS, Cut, counted, forked
from judge import Done
from tally import Draw, Tally
from world import World, judged_in

DONE = (
    "the Nth call that opens a file for writing, renames, removes, makes a folder or a link, changes a mode or "
    "syncs raises EIO, raises ENOSPC (and so do all after it), ends the process, or ends it with half a file "
    "written: while an artifact is published, replaced and used, in `gc`, `clean`, `init --force`, `convert "
    "--out` and while a checkpoint is fetched; likewise every write of a training's history and checkpoints"
)
JUDGED = (
    "the command tells it, the same command again ends well, and then files are there as after one that was never"
    " cut, none beside them; `detector.toml` is the old or the new; a training keeps every evaluation and its "
    "best checkpoint"
)
HOW = (*ERRORS, *CRASHES)
FEW = 3  # cuts of each operation in each way, evenly from the first to the last; full: all
SIZE = 5000  # bytes of each file of the checkpoint


class Operation(NamedTuple):
    """A command that changes files: its arguments, and what is done before it."""

    name: str
    arguments: Sequence[str]
    ready: Callable[[World, Path], None]
    in_project: bool = True


def draws(full: bool, seed: int) -> List[Draw]:
    # Few: two ways for each operation, so that neighbours have the other two.
    pairs = [(one, how) for place, one in enumerate(OPERATIONS) for how in (HOW if full else HOW[place % 2 :: 2])]
    found = [Draw("cuts", f"cuts: {one.name}, {how}", functools.partial(_cut, one, how, full)) for one, how in pairs]
    for how in HOW if full else HOW[:2]:
        name = f"cuts: a checkpoint is fetched, {how}"
        found.append(Draw("cuts", name, functools.partial(_fetched, how, full)))
    return [*found, Draw("cuts", "cuts: the state of a training", functools.partial(_ledger, full))]


def _nothing(_world: World, _project: Path) -> None:
    pass


def _made(world: World, project: Path) -> None:
    judge.told(_command(world, ["records"], project), codes=[0])


def _damaged(world: World, project: Path) -> None:
    _made(world, project)
    path = project / "build" / "records" / "label_map.pbtxt"
    os.chmod(path, 0o644)
    path.write_text("damaged", encoding="utf-8")


def _unused(world: World, project: Path) -> None:
    judge.told(_command(world, ["records", "--set", "records.seed=5"], project), codes=[0])
    _made(world, project)


def _graph(world: World, project: Path) -> None:
    shutil.copyfile(world.template / "build" / "export" / "frozen_inference_graph.pb", project / "graph.pb")


OPERATIONS = (
    Operation("an artifact is made", ["records"], _nothing),
    Operation("a damaged artifact is made again", ["records"], _damaged),
    Operation("an artifact is made in records.folder", ["records", "--set", "records.folder=elsewhere"], _nothing),
    Operation("gc", ["gc"], _unused),
    Operation("clean", ["clean", "--stage", "records", "--yes"], _made),
    Operation("init --force", ["init", "photos", "--force"], _nothing, False),
    Operation("convert --out", ["convert", "--graph", "graph.pb", "--out", "out", "--runner", "local"], _graph, False),
)


def _command(world: World, arguments: Sequence[str], project: Path, cut: Any = None) -> Done:
    environment = world.environment(
        {
            "NANOFORGE_CACHE": str(project.parent / "cache"),
            "TMPDIR": str(project.parent / "tmp"),
            "no_proxy": "127.0.0.1",
        }
    )
    return forked(arguments, project, environment, cut, functools.partial(_stand_in, world.template))


def _stand_in(template: Path) -> None:
    """Stages take what the template's made, so that only the host's own work takes time, and is cut."""
    from nanoforge.runners.contract import Outcome
    from nanoforge.runners.local import LocalRunner

    def run(_self: Any, run: Any, _sink: Any, _stop: Any) -> Outcome:
        cut, inprocess.CUTTER.cut = inprocess.CUTTER.cut, None
        for folder in (run.output, run.scratch, run.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        run.log.write_text("as the template's\n", encoding="utf-8")
        metrics: Dict[str, Any] = {}
        if run.stage == "survey":
            survey: Dict[str, Any] = dict.fromkeys(("forms", "sizes", "problems"), {})
            survey.update(pictures=4, annotations=4, objects={"cone": 4}, classes={"cone": 4}, variants=[], patterns=[])
            survey.update(labelled={"pictures": 4, "kept": 4}, split={"source": "hash", "pictures": {}})
            (run.output / "survey.json").write_text(json.dumps(survey), encoding="utf-8")
        else:
            made = template / "build" / run.stage
            ignored = shutil.ignore_patterns("record.json", "provenance.json")
            shutil.copytree(made, run.output, ignore=ignored, dirs_exist_ok=True)
            metrics = json.loads((made / "record.json").read_text(encoding="utf-8"))["metrics"]
        inprocess.CUTTER.cut = cut
        return Outcome(metrics=metrics)

    LocalRunner.run = run  # type: ignore[method-assign]


def _ready(world: World, operation: Operation) -> Path:
    """A project before the operation, in a folder that holds its cache and temporary files too.

    It is the same folder every time, as names in a shared records.folder depend on it.
    """
    place = world.folder / "cut"
    shutil.rmtree(place, ignore_errors=True)
    for folder in (place / "tmp", place / "cache"):
        folder.mkdir(parents=True)
    (place / "cache" / "environments").symlink_to(world.environments)
    project = world.own(f"{place.name}/project")
    operation.ready(world, project)
    return project


def _start(served: serving.Served, project: Path) -> None:
    """Name the checkpoint in the project's detector.toml."""
    config = project / "detector.toml"
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in served.keys.items())
    config.write_text(config.read_text(encoding="utf-8").replace("[model]\n", f"[model]\n{keys}"), encoding="utf-8")


def _state(project: Path) -> Dict[str, str]:
    """All that is there, up to times and what only tells how it went."""
    volatile = ("record.json", "provenance.json")
    found = {
        name: what
        for name, what in judge.listing(project.parent).items()
        if not name.startswith(
            (
                "project/build/logs",
                "project/build/cache",
                "project/build/failures",
                "cache/environments",
                "cache/logs",
                "tmp/",  # the system's to empty, after a crash
            )
        )
        and not name.endswith((".lock", "/lock", "holder.json"))
    }
    return {name: "a record" if name.endswith(volatile) else what for name, what in found.items()}


def _fetched(how: str, full: bool, world: World, tally: Tally) -> None:
    with serving.checkpoint(world.folder / "served", SIZE) as served:

        def ready(world: World, project: Path) -> None:
            _made(world, project)
            _start(served, project)

        _cut(Operation("a checkpoint is fetched", ["train"], ready), how, full, world, tally)


def _cut(operation: Operation, how: str, full: bool, world: World, tally: Tally) -> None:
    reference = _ready(world, operation)
    before = (reference / "detector.toml").read_text(encoding="utf-8")
    done = _command(world, operation.arguments, reference, Cut(reference.parent, 0, how))
    judge.told(done, codes=[0])
    calls = counted(done)
    assert calls is not None
    _swept(world, operation, reference)
    wanted = _state(reference)
    after = (reference / "detector.toml").read_text(encoding="utf-8")
    chosen = range(1, calls + 1) if full else sorted({1 + n * (calls - 1) // (FEW - 1) for n in range(FEW)})
    for number in chosen:
        with tally.case(f"call {number} of {calls}"):
            project, cut = _cut_at(world, operation, number, how)
            judge.told(cut, codes=[CRASH] if how in CRASHES else [0, 1, 3])
            assert (project / "detector.toml").read_text(encoding="utf-8") in (before, after), "detector.toml is lost"
            again = _command(world, operation.arguments, project)
            if operation.name == "convert --out" and (project / "out").is_dir() and again.code == 2:
                # It was finished, and is not overwritten; another one in that folder finds what was left.
                again = _command(world, [*operation.arguments[:4], "other", *operation.arguments[5:]], project)
                shutil.rmtree(project / "other", ignore_errors=True)
            judge.told(again, codes=[0])
            _swept(world, operation, project)
            judge.same(wanted, _state(project), f"after call {number}")


def _cut_at(world: World, operation: Operation, number: int, how: str) -> Tuple[Path, Done]:
    """The project and the command, cut at that call, or before it where so many were not made: some depend on time."""
    project = _ready(world, operation)
    done = _command(world, operation.arguments, project, Cut(project.parent, number, how))
    calls = counted(done)
    assert calls != 0, "no call was made that could be cut"
    return (project, done) if calls is None else _cut_at(world, operation, min(calls, number - 1), how)


def _swept(world: World, operation: Operation, project: Path) -> None:
    if operation.in_project:
        judge.told(_command(world, ["gc"], project), codes=[0])


def _ledger(full: bool, world: World, tally: Tally) -> None:
    """In environment train, whose TensorFlow the module imports."""
    judged_in("train", "ledger.py", [str(world.folder / "ledger"), str(0 if full else FEW)], world, tally)
