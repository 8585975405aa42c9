"""How long a look at a folder takes in which nothing changed: `./run status`, and `dvc status` of the same folder.

python benchmarks/status.py --dvc /path/to/venv/bin/dvc 25000 500000

Each number makes so many photos and as many XML files; both commands look at them in turns, warm. A command's times are
those of all its processes; its memory is that of the largest. The last figure is a look at one photo more.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple

RUN = Path(__file__).resolve().parents[1] / "run"
CONFIG = '[dataset]\nphotos = "photos/JPEGImages"\nclasses = ["thing"]\n'
OLD_ENOUGH_S = 3  # files younger than two seconds are read again each time


class Look(NamedTuple):
    """What one run of a command took: seconds, seconds of processors, and MB."""

    wall: float
    processor: float
    memory: float


def make(folder: Path, pairs: int) -> None:
    """A project with so many photos and XML files of a few bytes."""
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        inside = folder / "photos" / kind
        inside.mkdir(parents=True)
        for number in range(pairs):
            (inside / f"{number:07}.{suffix}").write_text(f"{kind} {number}\n")
    (folder / "detector.toml").write_text(CONFIG)


def look(command: List[str], folder: Path) -> Look:
    """Run a command in a folder to its end.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return Look(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def middle(looks: List[Look]) -> Look:
    """The medians of several looks."""
    return Look(*(statistics.median(figures) for figures in zip(*looks)))


def show(name: str, one: Look) -> None:
    """Print a line of figures."""
    print(f"  {name:16} {one.wall:6.2f} s, {one.processor:6.2f} s of processors, {one.memory:4.0f} MB", flush=True)


def compare(commands: Dict[str, List[str]], folder: Path, times: int) -> None:
    """Look by each command in turns, and print the medians."""
    looks: Dict[str, List[Look]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            looks[name].append(look(command, folder))
    found = {name: middle(several) for name, several in looks.items()}
    for name, one in found.items():
        show(name, one)
    if len(found) == 2:
        ours, theirs = found.values()
        print(f"  ratio            {ours.wall / theirs.wall:6.2f}    {ours.processor / theirs.processor:6.2f}")


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="+", help="photos, and as many XML files")
    parser.add_argument("--dvc", help="the program to compare with; without it, `./run status` alone is measured")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory() as name:
            folder, status = Path(name), [str(RUN), "status"]
            make(folder, pairs)
            time.sleep(OLD_ENOUGH_S)
            print(f"{2 * pairs} files:")
            show("all of them read", look(status, folder))
            commands = {"./run status": status}
            if options.dvc:
                for words in (["init", "-q", "--no-scm"], ["add", "-q", "photos"]):
                    look([options.dvc, *words], folder)
                commands["dvc status"] = [options.dvc, "status", "-q"]
            look(status, folder)
            compare(commands, folder, options.times)
            (folder / "photos/JPEGImages/new.jpg").write_text("new\n")
            time.sleep(OLD_ENOUGH_S)
            show("one photo more", look(status, folder))


if __name__ == "__main__":
    main()
