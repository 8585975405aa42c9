"""Full disks: real ones of a few hundred KB (a tmpfs), under whatever a command writes to, and then larger ones."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence

import judge
from tally import Draw, Tally
from world import World

DONE = (
    "a real file system that is full (tmpfs; needs root, and fails where mount is refused) under the build "
    "folder, records.folder, the cache, the folder of temporary files, `--out` or where the clone's host "
    "environment is made; with no room at all, and with some; then it is enlarged, and the same command runs "
    "again"
)
JUDGED = (
    "exit code 1 or 3, the last lines say that the disk (No space) is full and where; after it has grown the same"
    " command makes the same as on a large one, and the user's files are as before"
)
FULL = ("full", "No space", "no space")
LARGE = "900m"


class Disk(NamedTuple):
    """What lies on the small disk, by its path below the draw's folder, and the command that fills it."""

    name: str
    place: str
    arguments: Sequence[str]
    stage: str
    kilobytes: Sequence[int]
    environment: Dict[str, str] = {}
    writes: bool = True


DISKS = (
    Disk("the scratch folder of a training", "project/build", ["train"], "train", [3000]),
    Disk("the build folder", "project/build", ["records"], "render", [0, 300, 2000]),
    Disk("records.folder", "small", ["records", "--set", "records.folder=../small/r"], "records", [16, 100]),
    Disk("the drawings of detect", "project/build", ["detect"], "detect", [40]),
    Disk("the report", "project/build", ["report"], "report", [100]),
    Disk("the folder of temporary files, init", "tmp", ["init", "photos", "--force"], "", [0]),
    Disk("the cache, host environment", "cache", ["--version"], "", [0, 500], {"NANOFORGE_CACHE": "cache"}),
)


def draws(full: bool, seed: int) -> List[Draw]:
    found = []
    for disk in DISKS:
        for size in disk.kilobytes if full else disk.kilobytes[-1:] if disk.stage != "train" else ():
            found.append(Draw("disks", f"disks: {disk.name}, {size} KB", functools.partial(_fill, disk, size)))
    return found


def _fill(disk: Disk, kilobytes: int, world: World, tally: Tally) -> None:
    with tally.case("full, then larger"), contextlib.ExitStack() as undone:
        project = world.own() if disk.arguments[0] == "init" else world.project(without=[disk.stage])
        before = judge.users_files(project)
        small = world.folder / disk.place
        free = undone.enter_context(_small_disk(small, kilobytes))
        paths = {name: str(world.folder / place) for name, place in disk.environment.items()}
        failed = world.run(*disk.arguments, cwd=project, environment=paths)
        if failed.code == 0 and not disk.stage:
            return  # it needs no room there
        judge.told(failed, codes=[1, 3], names=FULL)
        if disk.arguments[0] != "init":
            judge.same(before, judge.users_files(project), "the user's files")
        world.ends()
        free()
        again = world.run(*disk.arguments, cwd=project, environment=paths)
        judge.told(again, codes=[0])
        if disk.stage:
            judge.equal(project, world.template, disk.stage)


@contextlib.contextmanager
def _small_disk(place: Path, free: int) -> Iterator[object]:
    """What is at ``place`` moves to a disk with so many KB to spare; yields what enlarges it."""
    place.mkdir(parents=True, exist_ok=True)
    inside = place.with_name(f"{place.name}.before")
    place.rename(inside)
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={LARGE}", "none", place)
    try:
        shutil.copytree(inside, place, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(inside)
        used = os.statvfs(place)
        taken = (used.f_blocks - used.f_bfree) * used.f_frsize // 1024
        # A tmpfs cannot be smaller than what it holds; 0 is exactly that.
        _mount("-o", f"remount,size={max(taken + free, 4)}k", place)
        yield functools.partial(_mount, "-o", f"remount,size={LARGE}", place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def _mount(*words: object) -> None:
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"no small disk can be mounted, so nothing was tried: {done.stderr.strip()}"
