"""Races: commands that want the same files at the same time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Any, List, Tuple

import judge
import serving
from tally import Draw, Tally
from world import World, ended

from nanoforge.files.digests import sha256_file

DONE = (
    "18 processes fetch and unpack one checkpoint at once; two projects with one records.folder, two builds of "
    "one project, `status`, `gc` and `clean` beside a build, two commands that make the host environment, all at "
    "once"
)
JUDGED = (
    "each ends with 0 and with what it makes alone (a build that `clean` or `gc` came before or after: once "
    "more), no temporary file stays"
)
PROCESSES, SIZE = 18, 3_000_000


def draws(full: bool, seed: int) -> List[Draw]:
    rounds = 4 if full else 1
    kinds = (
        ("the host environment", _host),
        ("one project", _builds),
        ("care beside a build", _care),
        ("one records.folder", _shared),
        ("one checkpoint", _checkpoint),
    )
    return [
        Draw("races", f"races: {name}, {number}", run)
        for name, run in kinds
        for number in range(1, 1 + (rounds if name != "the host environment" or full else 1))
    ]


def _checkpoint(world: World, tally: Tally) -> None:
    """Each process of 18 waits for the others, and then looks at what it got."""
    cache = world.cache()
    with serving.checkpoint(world.folder / "served", SIZE) as served:
        reading, writing = os.pipe()
        children = [_child(served, world.folder, cache, (reading, writing), number) for number in range(PROCESSES)]
        os.close(reading)
        os.close(writing)  # opens the gate
        for number, pid in enumerate(children):
            with tally.case(f"process {number}"):
                os.waitpid(pid, 0)
                said = (world.folder / f"said-{number}").read_text(encoding="utf-8")
                assert said == "right", said
    with tally.more("left behind"):
        left = [name for name in judge.aside(cache) if not name.startswith("environments")]
        assert not left, f"left behind: {left}"


def _child(served: serving.Served, folder: Path, cache: Path, gate: Tuple[int, int], number: int) -> int:
    import pooch  # noqa: F401  # before the gate, so that all come to it at once

    from nanoforge.config import checkpoints
    from nanoforge.config.schema import ModelSection
    from nanoforge.console import Console

    pid = os.fork()
    if pid:
        return pid
    said = "nothing"
    try:
        os.close(gate[1])
        os.environ.update(NANOFORGE_CACHE=str(cache), no_proxy="127.0.0.1")  # of this process alone
        start = checkpoints.resolve(ModelSection(**served.keys), folder)
        assert start is not None
        os.read(gate[0], 1)
        checkpoints.fetch(start, Console())
        wrong = [name for name in serving.NAMES if (start.folder / name).read_bytes() != served.content]
        said = f"it saw another {wrong[0]}" if wrong else "right"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    (folder / f"said-{number}").write_text(said, encoding="utf-8")
    os._exit(0)


def _shared(world: World, tally: Tally) -> None:
    """Two projects on the same photos, so that even the fingerprints agree, and one on others."""
    projects = []
    for name, pictures in (("one", 3), ("two", 3), ("three", 4)):
        project = world.own(name, pictures)
        text = (project / "detector.toml").read_text(encoding="utf-8")
        folder = f'[records]\nfolder = "{world.folder / "shared"}"'
        (project / "detector.toml").write_text(text.replace("[records]", folder), encoding="utf-8")
        projects.append((project, pictures))
    (world.folder / "shared" / "mine").mkdir(parents=True)
    (world.folder / "shared" / "mine" / "precious.txt").write_text("mine", encoding="utf-8")
    running = [world.start("records", cwd=project) for project, _ in projects]
    for command, (project, pictures) in zip(running, projects):
        with tally.case(f"{project.name} beside the others"):
            judge.told(ended(command, ["records"]), codes=[0])
            _whole(project, pictures)
    for words in (["gc"], ["records"], ["clean", "--yes"]):
        with tally.case(" ".join(words)):
            judge.told(world.run(*words, cwd=projects[0][0]), codes=[0])
            for project, pictures in projects[1:]:
                _whole(project, pictures)
            kept = world.folder / "shared" / "mine" / "precious.txt"
            assert kept.is_file(), f"{' '.join(words)} removed the user's own file from records.folder"


def _whole(project: Path, pictures: int) -> None:
    record = judge.record(project, "records")
    for name, entry in record["files"].items():
        assert sha256_file(project / "build" / "records" / name) == entry["sha256"], f"{name} is not what was published"
    lines = (project / "build" / "records" / "index.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == pictures, f"{len(lines)} of {pictures} pictures are in the index"


def _builds(world: World, tally: Tally) -> None:
    project = world.project(without=["render", "records"])
    running = [world.start("records", cwd=project) for _ in range(3)]
    for number, command in enumerate(running):
        with tally.case(f"build {number}"):
            judge.told(ended(command, ["records"]), codes=[0])
            judge.equal(project, world.template, "records")


def _care(world: World, tally: Tally) -> None:
    project = world.project(without=["render", "records"])
    building = world.start("records", cwd=project)
    words: List[Any] = [
        ["status"],
        ["gc"],
        ["status", "--json"],
        ["clean", "--stage", "records", "--yes"],
        ["explain", "train"],
    ]
    beside = []
    while building.poll() is None and words:
        beside.append((words[0], world.start(*words.pop(0), cwd=project)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            building.wait(0.3)
    for asked, command in beside:
        with tally.case(f"{' '.join(asked)} beside a build"):
            judge.told(ended(command, asked), codes=[0, 1] if asked[0] == "explain" else [0])
    with tally.case("the build"):
        judge.told(ended(building, ["records"]), codes=[0])
        judge.told(world.run("records", cwd=project), codes=[0])
        judge.equal(project, world.template, "records")
        judge.told(world.run("gc", cwd=project), codes=[0])
        judge.nothing_aside(project, world.template)


def _host(world: World, tally: Tally) -> None:
    """One of them is killed while it installs, so that what it leaves is found too."""
    cache = {"NANOFORGE_CACHE": str(world.folder / "cache")}
    killed = world.start("--version", cwd=world.folder, environment=cache)
    place = world.folder / "cache" / "environments"
    while killed.poll() is None and not (place.is_dir() and any(path.is_dir() for path in place.iterdir())):
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(killed.pid, 9)
    ended(killed)
    running = [world.start("--version", cwd=world.folder, environment=cache) for _ in range(2)]
    for number, command in enumerate(running):
        with tally.case(f"command {number}"):
            judge.told(ended(command, ["--version"]), codes=[0])
    with tally.case("what is there then"):
        judge.told(world.run("--version", cwd=world.folder, environment=cache), codes=[0])
        found = sorted(path.name for path in place.iterdir() if path.is_dir())
        assert len(found) == 1, f"{len(found)} folders instead of one: {found}"
