"""Stage: how fast an engine is on this board, the network alone and from a picture to its boxes, and under what.

"Network alone" is the copy to the device, the inference and the copies back; "end to end" is that and what goes around
it: a picture of 1280 x 720 made into the input tensor, and the output into boxes. Both are one picture after the other.
"""

import json
import os
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from stages import pixels
from stages.detect import description
from stages.detect.backends.tensorrt import TensorrtBackend
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.jetson import board, engine_file, libraries, model, samples
from stages.job import Job, run
from stages.parameters import BenchEngineParameters

FORMAT, FRAME = 1, (720, 1280)
LEAST_BETWEEN_PROGRESS = 1.0  # seconds
NETWORK, END_TO_END = "network", "end_to_end"


def main(job: Job) -> None:
    """Time the input ``engine`` on a picture of ``model`` (optional), and write ``bench.json`` and ``bench.txt``.

    Raises:
        BadInput: the engine is not of this board, or not whole.
        StageFailed: a library is missing, or memory.
    """
    parameters = job.read(BenchEngineParameters)
    folder = job.inputs["engine"]
    described = description.read(folder)
    frame = pixels.resize(picture(job.inputs.get("model"), described, job.scratch), *FRAME)
    bench = dict(
        measured(job, folder, described, frame, parameters.warmup_runs, parameters.runs),
        format=FORMAT,
        engine=_engine(folder),
        frame=list(FRAME),
    )
    with open(job.out("bench.json"), "w", encoding="utf-8") as stream:
        json.dump(bench, stream, indent=1, sort_keys=True)
    text = "\n".join(table(bench)) + "\n"
    with open(job.out("bench.txt"), "w", encoding="utf-8") as stream:
        stream.write(text)
    print(text, flush=True)
    for words in bench["slowed"]:
        job.warn("The board is not at its full speed: %s" % words)
    job.metrics(
        network_ms=bench[NETWORK]["median_ms"],
        end_to_end_ms=bench[END_TO_END]["median_ms"],
        p99_ms=bench[END_TO_END]["p99_ms"],
        per_second=bench[END_TO_END]["per_second"],
    )


def picture(path: Optional[str], described: Description, scratch: str) -> np.ndarray:
    """The first sample of the model at ``path``; noise where there is none. uint8 RGB [height, width, 3]."""
    folder = model.opened(path, scratch) if path else ""
    listed = os.path.join(folder, "samples.json")
    if folder and os.path.isfile(listed):
        found = samples.read(listed, described.height, described.width).pictures
        if found:
            return found[0].picture()
    noise = np.random.RandomState(0).randint(0, 256, (described.height, described.width, 3))
    return np.asarray(noise.astype(np.uint8))


def measured(
    job: Job, folder: str, described: Description, frame: np.ndarray, warmup_runs: int, runs: int
) -> Dict[str, Any]:
    """The figures of the engine in ``folder`` on ``frame``, uint8 RGB [height, width, 3].

    Raises:
        BadInput: the engine is not of this board, or not whole.
        StageFailed: a library is missing, or memory.
    """
    this = board.Board()
    before = _free_mb()
    backend = TensorrtBackend(folder, described)
    with Detector(described, backend) as detector:
        detector.prepare(frame, 0)

        def network() -> None:
            backend.start(0)
            backend.finish(0)

        def end_to_end() -> None:
            detector.detect(frame)

        alone = _timed(job, NETWORK, network, warmup_runs, runs)
        whole = _timed(job, END_TO_END, end_to_end, warmup_runs, runs)
        after, _ = libraries.cuda_memory()
        state = this.described()  # at once: clocks sink when there is nothing to do
        slowed = this.slower_than_it_could()
    return {
        "runs": runs,
        "warmup_runs": warmup_runs,
        NETWORK: figures(alone),
        END_TO_END: figures(whole),
        "memory_mb": {
            "free_before": before,
            "free_while": after,
            "process": this.process_memory(),
        },
        "board": state,
        "slowed": slowed,
    }


def figures(milliseconds: List[float]) -> Dict[str, float]:
    """Median, 90th and 99th percentile, least, most and mean in milliseconds, and how many go into a second."""
    values = np.array(milliseconds)
    percentiles = dict(zip(("median_ms", "p90_ms", "p99_ms"), np.percentile(values, (50, 90, 99)).tolist()))
    found = dict(percentiles, least_ms=values.min(), most_ms=values.max(), mean_ms=values.mean())
    found["per_second"] = 1000 / values.mean()
    return {name: round(float(value), 3) for name, value in found.items()}


def table(bench: Dict[str, Any]) -> List[str]:
    """The figures as lines for people."""
    rows: List[Tuple[str, str]] = [(name, str(value)) for name, value in bench["engine"].items() if value]
    state, memory = bench["board"], bench["memory_mb"]
    clocks = ", ".join("%s %d" % one for one in sorted(state["clocks_mhz"].items()))
    warm = ", ".join("%s %.1f" % one for one in sorted(state["temperatures"].items()))
    rows += [
        ("board", state["model"] or "not known"),
        ("l4t", state["l4t"] or "not known"),
        ("power mode", state["power_mode"] or "not known"),
        ("clocks, MHz", clocks or "not known"),
        ("temperatures, degrees C", warm or "not known"),
        ("free memory, MB", "%d before, %d while it ran" % (memory["free_before"], memory["free_while"])),
        ("process, MB", ", ".join("%s %s" % (name, size) for name, size in sorted(memory["process"].items()))),
        ("runs", "%d after %d to warm up" % (bench["runs"], bench["warmup_runs"])),
    ]
    lines = ["%-24s %s" % row for row in rows] + [""]
    lines.append("%-34s%10s%10s%10s%10s" % ("milliseconds", "median", "p90", "p99", "per s"))
    for name, title in ((NETWORK, "network alone"), (END_TO_END, "%d x %d picture to boxes" % FRAME[::-1])):
        one = bench[name]
        values = (title, one["median_ms"], one["p90_ms"], one["p99_ms"], one["per_second"])
        lines.append("%-34s%10.2f%10.2f%10.2f%10.1f" % values)
    return lines + ["Not at full speed: %s" % words for words in bench["slowed"]]


def _timed(job: Job, name: str, work: Callable[[], None], warmup_runs: int, runs: int) -> List[float]:
    """Milliseconds of each run."""
    for _ in range(warmup_runs):
        work()
    times: List[float] = []
    told = time.perf_counter()
    for number in range(runs):
        began = time.perf_counter()
        work()
        ended = time.perf_counter()
        times.append(1000 * (ended - began))
        if ended - told > LEAST_BETWEEN_PROGRESS:
            told = ended
            done = number + (runs if name == END_TO_END else 0)
            job.progress(done, 2 * runs, "%s, %.1f ms" % (name.replace("_", " "), times[-1]))
    return times


def _free_mb() -> int:
    """What the device has free before there is an engine."""
    _, context = libraries.cuda()
    try:
        return libraries.cuda_memory()[0]
    finally:
        libraries.let_go(context)


def _engine(folder: str) -> Dict[str, Any]:
    said = engine_file.sidecar(folder)
    names = ("device", "tensorrt", "cuda", "precision", "workspace_mb")
    return dict({name: said.get(name, "") for name in names}, built_of=said["model"].get("kind", ""))


if __name__ == "__main__":
    run(main)
