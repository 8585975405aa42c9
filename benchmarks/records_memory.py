"""Peak memory of the records stage over the number of pictures, and how long it takes. Small ones are written for it.

Usage, with the data environment's Python:

PYTHONPATH=. python benchmarks/records_memory.py 2000 200000
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np

from stages.demo import voc_writer

FOLDER = 1000  # pictures in a folder
SIDE = 48  # pixels
PARAMETERS: Dict[str, Any] = {
    "classes": ["cone", "ball", "mug"],
    "image_size": [SIDE, SIDE],
    "encoding": "jpeg",
    "jpeg_quality": 90,
    "seed": 0,
    "aliases": {},
    "boxes": "auto",
    "sizes": "xml",
    "max_megapixels": 100,
    "split": "auto",
    "validation_fraction": 0.2,
    "limit": 0,
    "pictures_per_shard": 1000,
    "findings": {},
    "accept_losses": True,
}


def write_pictures(folder: Path, count: int) -> None:
    """So many photos of noise, of which no two are alike, each with two objects and one too small to keep."""
    rng = np.random.RandomState(0)
    for number in range(count):
        name = f"{number // FOLDER:05d}/photo-{number:07d}"
        for below in ("JPEGImages", "Annotations"):
            (folder / below / name).parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.randint(0, 256, (6, 6, 3)).astype(np.uint8)
        photo = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        (folder / "JPEGImages" / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
        objects = [("cone", (2, 2, 20, 40)), (("ball", "mug")[number % 2], (22, 4, 44, 30)), ("cone", (5, 5, 6, 6))]
        xml = voc_writer.annotation(f"photo-{number:07d}.jpg", SIDE, SIDE, objects)
        (folder / "Annotations" / f"{name}.xml").write_bytes(xml)


def run_stage(module: str, folder: Path, inputs: Dict[str, str], parameters: Dict[str, Any]) -> Path:
    """Run a stage of the environment data in a process of its own; returns its output folder."""
    name = module.rsplit(".", 1)[-1]
    output, scratch = folder / name, folder / f"{name}-scratch"
    output.mkdir()
    scratch.mkdir()
    job = {"stage": name, "inputs": inputs, "output": str(output), "scratch": str(scratch), "parameters": parameters}
    (folder / f"{name}.json").write_text(json.dumps({**job, "cpus": 2}))
    command = [sys.executable, "-m", module, str(folder / f"{name}.json")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return output


def records_peak(folder: str) -> float:
    """Peak resident memory of the largest process of `records` on these pictures, in MB."""
    inputs = {"photos": f"{folder}/JPEGImages", "annotations": f"{folder}/Annotations"}
    with tempfile.TemporaryDirectory(dir=folder) as work:
        run_stage("stages.data.records", Path(work), inputs, PARAMETERS)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def main(counts: List[int]) -> None:
    """Measure `records` on so many pictures, each time in a new process."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_pictures(Path(folder), count)
            program = f"from benchmarks.records_memory import records_peak; print(records_peak({folder!r}))"
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
            seconds = time.monotonic() - began
        print(f"{count} pictures: {float(done.stdout):.0f} MB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
