"""Photos and XML to JPEG records: the stage records, the usual scripts, and what the JPEG codec alone takes.

Each way in turns, several times, in processes of its own; what is told are medians, and of ratios the medians of those
within a turn. The codec alone is the bare loop: bytes read, decoded at a reduced scale, resized, encoded, on every
core, and nothing written. On a machine that does other things as well, look at the processor time: one process and
several get different shares of it, so that ratios of times say little. Usage, with the data environment's Python:

PYTHONPATH=. python benchmarks/records_throughput.py [--turns 5] [--pictures 960 | --voc FOLDER --classes NAME...]
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import cv2
import numpy as np

from benchmarks.records_memory import run_stage

WIDTH, HEIGHT, QUALITY = 640, 360, 90
DEMO_CLASSES = ["cone", "ball", "mug"]
CORES = len(os.sched_getaffinity(0))


class Voc(NamedTuple):
    """A dataset: the folder that holds JPEGImages/ and Annotations/, and its classes."""

    folder: Path
    classes: List[str]

    def photos(self) -> List[Path]:
        """Its photos, by name."""
        return sorted((self.folder / "JPEGImages").iterdir())


class Taken(NamedTuple):
    """Seconds: from start to end, and of the processors, all processes together."""

    wall: float
    processor: float


def taken_by(work: Callable[[], Any]) -> Taken:
    """What ``work`` takes, all of which it does in processes that end within it."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(time.perf_counter() - start, used)


def usual(voc: Voc, scratch: Path) -> Taken:
    """Pillow's resize, then `create_pascal_tf_record`: one process, its start included."""
    program = Path(__file__).with_name("pillow_then_pascal.py")
    command = [sys.executable, str(program), str(voc.folder / "JPEGImages"), str(voc.folder / "Annotations")]
    command += [str(scratch / "usual"), str(WIDTH), str(HEIGHT), *voc.classes]
    return taken_by(lambda: subprocess.run(command, check=True))


def codec_loop(paths: List[str]) -> None:
    """Decode, resize and encode; ``paths`` are of photos twice to four times as large as is wanted."""
    cv2.setNumThreads(1)
    for path in paths:
        with open(path, "rb") as stream:
            picture = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def codec(voc: Voc, _: Path) -> Taken:
    """The bare loop on every core; the start of its processes is not counted."""
    loops = []
    for core in range(CORES):
        program = (
            "import sys, time; from benchmarks.records_throughput import codec_loop; print(flush=True); input();"
            "start = time.process_time(); codec_loop(sys.argv[1:]); print(time.process_time() - start)"
        )
        command = [sys.executable, "-c", program, *map(str, voc.photos()[core::CORES])]
        loops.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0))
    for loop in loops:
        loop.stdout.readline()  # it stands ready
    start = time.perf_counter()
    for loop in loops:
        loop.stdin.write(b"\n")
    used = sum(float(loop.stdout.readline()) for loop in loops)
    wall = time.perf_counter() - start
    for loop in loops:
        loop.communicate()
    return Taken(wall, used)


def ours(voc: Voc, scratch: Path) -> Taken:
    """The stage records on all cores, from its start to its end."""
    inputs = {"photos": str(voc.folder / "JPEGImages"), "annotations": str(voc.folder / "Annotations")}
    parameters: Dict[str, Any] = {"classes": voc.classes, "image_size": [HEIGHT, WIDTH], "encoding": "jpeg"}
    parameters.update(jpeg_quality=QUALITY, seed=0, aliases={}, boxes="auto", sizes="xml", max_megapixels=100)
    parameters.update(split="hash", validation_fraction=0.2, limit=0, pictures_per_shard=1000, findings={})
    return taken_by(lambda: run_stage("stages.data.records", scratch, inputs, dict(parameters, accept_losses=True)))


WAYS = {"usual": usual, "codec": codec, "ours": ours}


def measure(voc: Voc, turns: int) -> None:
    """Print what each way took in each turn, and the medians."""
    taken: Dict[str, List[Taken]] = {name: [] for name in WAYS}
    for _ in range(turns):
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as scratch:
                taken[name].append(way(voc, Path(scratch)))
            print(
                f"{name}: {taken[name][-1].wall:.2f} s, {taken[name][-1].processor:.2f} s of the processors", flush=True
            )
    count = len(voc.photos())
    for name, times in taken.items():
        wall, processor = (statistics.median(column) for column in zip(*times))
        print(f"{name}: {count / wall:.1f} pictures/s; {1000 * processor / count:.1f} ms of a processor for each")
    for told, name, cores in (("times as fast as the usual", "usual", CORES), ("of the codec's speed", "codec", 1)):
        pairs = list(zip(taken[name], taken["ours"]))
        ratio = statistics.median(other.wall / one.wall for other, one in pairs)
        by_processor = statistics.median(cores * other.processor / one.processor for other, one in pairs)
        print(f"{ratio:.2f} {told}; {by_processor:.2f} by what they take of {CORES} processors")


def main() -> None:
    """Measure on photos that are rendered first, or on those in a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=960, help="how many photos of 1920x1080 to render")
    parser.add_argument("--voc", type=Path, help="a folder with JPEGImages/ and Annotations/, of 1920x1080 photos")
    parser.add_argument("--classes", nargs="+", default=DEMO_CLASSES)
    told = parser.parse_args()
    if told.voc:
        measure(Voc(told.voc, told.classes), told.turns)
        return
    with tempfile.TemporaryDirectory() as folder:
        rendered = run_stage("stages.demo.render", Path(folder), {}, {"pictures": told.pictures, "seed": 0})
        measure(Voc(rendered, told.classes), told.turns)


if __name__ == "__main__":
    main()
