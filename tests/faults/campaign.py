"""The campaign: every kind of fault, its draws, and what came of them; started by nanoforge/dev/faults.py.

`python campaign.py ASKED.json` runs draws, as many at a time as there are processors, each in a process of its own that
has one thread, since many of them fork. Progress goes to standard output, the rows into the file that is asked for.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import cuts
import disks
import kills
import mutations
import nonsense
import oddnames
import permissions
import races
import untrusted
from filelock import FileLock
from tally import Draw, Tally
from world import CONFIG, RENDERED, RUN, World

from nanoforge.files.digests import sha256_file, sha256_text
from nanoforge.files.paths import HOME, cache_folder


class Kind(NamedTuple):
    """A kind of fault; ``draws(full)`` lists what is tried of it, the longest first."""

    name: str
    done: str
    judged: str
    draws: Callable[[bool, int], List[Draw]]


KINDS = tuple(
    Kind(module.__name__, module.DONE, module.JUDGED, module.draws)
    for module in (kills, cuts, disks, permissions, oddnames, races, mutations, untrusted, nonsense)
)


def chosen(full: bool, seed: int, only: str) -> List[Draw]:
    """The draws of all kinds whose names begin with ``only``."""
    return [draw for kind in KINDS for draw in kind.draws(full, seed) if draw.name.startswith(only)]


def template() -> Path:
    """A small project with everything built, kept in the cache by the code that made it; made if need be.

    It begins with the one before, or with one that was not finished, so that only stages that changed run again.
    """
    code = [path for room in ("nanoforge", "stages", "docker") for path in (HOME / room).rglob("*") if path.is_file()]
    counted = [path for path in sorted(code) if not {"__pycache__", "dev"} & {*path.parts}]
    key = sha256_text(" ".join(map(sha256_file, counted)) + CONFIG)
    folder = cache_folder() / "faults" / f"template-{key[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder.parent / "lock")):
        if not folder.is_dir():
            before = sorted(folder.parent.glob("template-*"), key=lambda path: path.stat().st_mtime)
            making = folder.with_name("making")
            if before and not making.is_dir():
                before[-1].rename(making)
            making.mkdir(exist_ok=True)
            (making / "detector.toml").write_text(CONFIG.format(dataset=RENDERED), encoding="utf-8")
            for command in ("resize", "build", "gc"):
                subprocess.run([str(RUN), command], cwd=making, check=True)
            os.rename(making, folder)
    return folder


def measure(asked: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Run the draws that are asked for; a row for each kind that had one."""
    draws = chosen(asked["full"], asked["seed"], asked["only"])
    found: Dict[str, Dict[str, Any]] = {draw.kind: {"kind": draw.kind, "tried": 0, "failures": []} for draw in draws}
    context = multiprocessing.get_context("spawn")
    finished = template()
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        running = {pool.submit(_one, asked, draw.name, str(finished)): draw for draw in draws}
        for done, future in enumerate(as_completed(running), 1):
            tried, failures = future.result()
            row = found[running[future].kind]
            row["tried"] += tried
            row["failures"] += failures
            print(f"{done} of {len(draws)}: {running[future].name}: {tried - len(failures)} of {tried}", flush=True)
            for failure in failures:
                print(f"  {failure['case']}: {failure['why']}", flush=True)
    return list(found.values())


def _one(asked: Dict[str, Any], name: str, finished: str) -> Any:
    """One draw, in a folder of its own; how many cases it tried, and which did not survive."""
    draw = next(draw for draw in chosen(asked["full"], asked["seed"], name) if draw.name == name)
    tally = Tally()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background begin with it ignored
    folder = Path(tempfile.mkdtemp(prefix="nanoforge-faults-"))
    try:
        world = World(folder, Path(finished), f"{asked['seed']} {name}")
        with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else _chdir(folder):
            draw.run(world, tally)
            with tally.more("processes"):
                world.ends()
    except Exception:
        tally.note("the draw itself", traceback.format_exc().strip())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    repeat = f"./run faults --seed {asked['seed']}{' --full' if asked['full'] else ''} --only '{name}'"
    return tally.tried, [{"case": case, "why": why, "repeat": repeat} for case, why in tally.failures]


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = [] if wanted.get("kinds") else measure(wanted)
    kinds = [{"kind": kind.name, "done": kind.done, "judged": kind.judged} for kind in KINDS]
    Path(wanted["rows"]).write_text(json.dumps({"kinds": kinds, "rows": rows}), encoding="utf-8")
