"""Peak memory of the records stage over the size of the dataset. Usage, with the data environment's Python:

PYTHONPATH=. python benchmarks/records_memory.py 50 200 800
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List


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


def records_peak(rendered: str, pictures: int) -> float:
    """Peak resident memory of the largest process of `records` on so many pictures, in MB."""
    inputs = {"photos": f"{rendered}/JPEGImages", "annotations": f"{rendered}/Annotations"}
    parameters = {
        "classes": ["cone", "ball", "mug"],
        "image_size": [300, 300],
        "encoding": "png",
        "jpeg_quality": 95,
        "seed": 0,
        "aliases": {},
        "boxes": "auto",
        "sizes": "xml",
        "max_megapixels": 100,
        "split": "auto",
        "validation_fraction": 0.2,
        "limit": pictures,
        "pictures_per_shard": 1000,
        "findings": {},
        "accept_losses": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        run_stage("stages.data.records", Path(folder), inputs, parameters)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def main(counts: List[int]) -> None:
    """Render the largest dataset once, then measure `records` on parts of it, each time in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        rendered = run_stage("stages.demo.render", Path(folder), {}, {"pictures": max(counts), "seed": 0})
        for count in counts:
            program = (
                f"from benchmarks.records_memory import records_peak; print(records_peak({str(rendered)!r}, {count}))"
            )
            done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
            print(f"{count} pictures: {float(done.stdout):.0f} MB")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
