"""Permissions: files and folders that the user may not read, write or search."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence

import judge
from tally import Draw, Tally
from world import World

DONE = (
    "photo, XML, folder of photos, detector.toml, media or build folder that may not be read; build, store, "
    "cache, project or temporary folder that may not be written, is another user's, or is a file; umask 077 and "
    "000. Root gives up all capabilities for it (setpriv), so that modes count"
)
JUDGED = (
    "the last lines name what may not be used (or the photo is told and left out), exit code 1 to 3, the user's "
    "files and modes are as before, the same command ends well once the mode is right"
)
# Root without capabilities is a user like any other, and still owns its environments.
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
FOREIGN = 12345


class Denied(NamedTuple):
    """What is made unusable: a path in the project and a mode, or what does it; and the command that meets it."""

    name: str
    path: str
    mode: int
    arguments: Sequence[str] = ("records",)
    does: str = "chmod"
    codes: Sequence[int] = (1, 2, 3)
    names: Sequence[str] = ()
    environment: Dict[str, str] = {}


PHOTO = "photos/JPEGImages/demo-0006.jpg"
CASES = (
    Denied("a photo", PHOTO, 0, codes=(0, 1, 2, 3), names=["demo-0006"]),
    Denied("an XML file", "photos/Annotations/demo-0006.xml", 0, codes=(0, 1, 2, 3), names=["demo-0006"]),
    Denied("a folder of photos", "photos/JPEGImages/more", 0, does="make", codes=(0, 1, 2, 3), names=["more"]),
    Denied("the photos' folder", "photos/JPEGImages", 0, names=["JPEGImages"]),
    Denied("detector.toml", "detector.toml", 0, ["status"], names=["detector.toml"]),
    Denied("build, read-only", "build", 0o555, names=["build"]),
    Denied("build, not to be searched", "build", 0o600, names=["build"]),
    Denied("build, another user's", "build", 0o755, does="give", names=["build"]),
    Denied("build, a file", "build", 0, does="file", names=["build"]),
    Denied("build, status", "build", 0o555, ["status"], codes=(0, 1, 2, 3)),
    Denied("build, a dangling link", "build", 0, does="dangle", names=["build"]),
    Denied("the store, read-only", "build/store", 0o555, does="make", names=["store"]),
    Denied("the logs, read-only", "build/logs", 0o555, does="make", names=["logs"]),
    Denied("the project, init", ".", 0o555, ["init", "photos", "--force"], names=["project", "detector.toml"]),
    Denied("the media", "photos/JPEGImages/demo-0006.jpg", 0, ["detect", "--media", PHOTO], names=["demo-0006"]),
    Denied("the temporary folder, init", "../tmp", 0o555, ["init", "photos", "--force"], codes=(0, 1, 2, 3)),
    Denied(
        "the cache",
        "../cache",
        0o555,
        ["--version"],
        does="make",
        names=["cache"],
        environment={"NANOFORGE_CACHE": "../cache"},
    ),
    Denied(
        "the cache, a file",
        "../cache",
        0,
        ["--version"],
        does="file",
        names=["cache"],
        environment={"NANOFORGE_CACHE": "../cache"},
    ),
)


def draws(full: bool, seed: int) -> List[Draw]:
    found = [Draw("permissions", f"permissions: {case.name}", functools.partial(_deny, case)) for case in CASES]
    masks = [
        Draw("permissions", f"permissions: umask {mask}", functools.partial(_mask, mask)) for mask in ("077", "000")
    ]
    return [*masks, *found]


def _deny(case: Denied, world: World, tally: Tally) -> None:
    project = world.project(without=["detect", "report"]) if case.arguments[0] == "detect" else world.own()
    path = project / case.path
    photos = judge.listing(project / "photos") if (project / "photos").is_dir() else {}
    if case.name == "the media":
        path.parent.mkdir(parents=True)
        path.write_bytes(next((world.template / "build" / "resize" / "JPEGImages").iterdir()).read_bytes())
    environment = {name: str(project / place) for name, place in case.environment.items()}
    with tally.case(case.name):
        undo = DOES[case.does](path, case.mode)
        try:
            done = world.run(*case.arguments, cwd=project, environment=environment, before=UNPRIVILEGED)
            judge.told(done, codes=case.codes, names=case.names)
            if done.code == 0 and case.names:
                assert any(name in done.err + done.out for name in case.names), "what was left out is not told"
        finally:
            undo()
        if photos:
            judge.same(
                photos,
                {name: what for name, what in judge.listing(project / "photos").items() if not name.endswith("/more")},
                "the photos",
            )
        if not case.environment:
            judge.told(world.run(*case.arguments, cwd=project, before=UNPRIVILEGED), codes=[0])


def _chmod(path: Path, mode: int) -> Callable[[], None]:
    path.mkdir(exist_ok=True) if not path.exists() else None
    before = path.stat().st_mode & 0o7777
    path.chmod(mode)
    return functools.partial(path.chmod, before)


def _make(path: Path, mode: int) -> Callable[[], None]:
    path.mkdir(parents=True)
    path.chmod(mode)
    return functools.partial(path.chmod, 0o755)


def _give(path: Path, mode: int) -> Callable[[], None]:
    undo = _chmod(path, mode)
    os.chown(path, FOREIGN, FOREIGN)

    def back() -> None:
        os.chown(path, os.getuid(), os.getgid())
        undo()

    return back


def _file(path: Path, _mode: int) -> Callable[[], None]:
    path.write_text("mine", encoding="utf-8")
    return path.unlink


def _dangle(path: Path, _mode: int) -> Callable[[], None]:
    path.symlink_to("nowhere/at/all")
    return path.unlink


DOES = {"chmod": _chmod, "make": _make, "give": _give, "file": _file, "dangle": _dangle}


def _mask(mask: str, world: World, tally: Tally) -> None:
    """Under any umask a command makes what it makes under the usual one, and may use it again."""
    with tally.case(f"umask {mask}"):
        project = world.project(without=["render", "records"])
        before = ["sh", "-c", f'umask {mask}; exec "$@"', "sh", *UNPRIVILEGED]
        judge.told(world.run("records", cwd=project, before=before), codes=[0])
        for stage in ("render", "records"):
            judge.equal(project, world.template, stage)
        again = world.run("report", cwd=project, before=before)
        judge.told(again, codes=[0])
        judge.told(world.run("gc", cwd=project, before=before), codes=[0])
