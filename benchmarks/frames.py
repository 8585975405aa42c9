"""What happens to a frame around inference, and what the quick resize for live frames does to detections.

With the data environment's Python::

    PYTHONPATH=. python benchmarks/frames.py time [--reuse]
    PYTHONPATH=. python benchmarks/frames.py effect MODEL PICTURES

``time`` takes frames of 1280x720 from memory to the input tensor of 300x300, and NMS_TRT's 100 rows to boxes: as detect
does it, and step by step as tensorrt_demos' ``utils/ssd.py`` is known to (resize, colours, planes, float, two passes in
place, copied into page-locked memory; a loop over the rows). ``effect`` compares detections in PICTURES, scaled to
1280x720, after area averaging with those after other ways to shrink; MODEL is a convert artifact.
"""

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from stages import pixels
from stages.detect import detectors
from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.detect.detector import Detection, Detector
from stages.detect.preprocess import quickly_resized

HEIGHT, WIDTH, SIDE, THRESHOLD = 720, 1280, 300, 0.3
FRAMES, ROUNDS, ROWS, FOUND = 8, 400, 100, 8
LEAST_SCORE, LEAST_PAIR_IOU = 0.5, 0.5


class PlainBackend(Backend):
    """Memory where a device's would be, and rows that are there already."""

    def __init__(self, rows: np.ndarray) -> None:
        self.slots = [np.zeros((3, SIDE, SIDE), np.float32)]
        self._rows = rows

    def start(self, slot: int) -> None:
        """Nothing is computed."""

    def finish(self, slot: int) -> np.ndarray:
        return self._rows

    def close(self) -> None:
        """Nothing was taken."""


class StepByStep:
    """The steps of ssd.py on a BGR frame, written from their description."""

    def __init__(self, rows: np.ndarray) -> None:
        self.pinned = np.zeros(3 * SIDE * SIDE, np.float32)
        self._output = rows.reshape(-1)

    def prepare(self, frame: np.ndarray) -> None:
        """Fill the input: resize, RGB, planes, float, scale, offset, copy."""
        tensor = cv2.cvtColor(cv2.resize(frame, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
        tensor = tensor.transpose(2, 0, 1).astype(np.float32)
        tensor *= 2.0 / 255.0
        tensor -= 1.0
        np.copyto(self.pinned, tensor.ravel())

    def finish(self, size: Tuple[int, int]) -> List[Tuple[int, float, List[int]]]:
        """Class, score and box in whole pixels of each row that reaches the threshold."""
        found = []
        for at in range(0, len(self._output), 7):
            score = float(self._output[at + 2])
            if score >= THRESHOLD:
                box = [int(self._output[at + 3 + edge] * size[1 - edge % 2]) for edge in range(4)]
                found.append((int(self._output[at + 1]), score, box))
        return found


def nms_rows() -> np.ndarray:
    """100 rows as a busy scene has them, the first few over the threshold: float32 [100, 7]."""
    random = np.random.RandomState(0)
    rows = np.zeros((ROWS, 7), np.float32)
    rows[:, 1] = random.randint(1, 91, ROWS)
    rows[:, 2] = np.sort(np.concatenate([random.uniform(0.3, 1, FOUND), random.uniform(0.01, 0.29, ROWS - FOUND)]))[
        ::-1
    ]
    corners = np.sort(random.uniform(0, 1, (ROWS, 2, 2)), axis=1)
    rows[:, 3:] = corners.reshape(ROWS, 4)
    return rows


def frames(count: int) -> List[np.ndarray]:
    """Noise, uint8 BGR [720, 1280, 3]; made in place, see :func:`measure_time`."""
    made = [np.empty((HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]
    for one in made:
        cv2.randu(one, 0, 256)
    return made


def detector_and_steps() -> Tuple[Detector, PlainBackend, StepByStep]:
    """Both ways, for the same network and rows."""
    rows, names = nms_rows(), [f"class {number}" for number in range(91)]
    described = Description("model.json", names, SIDE, SIDE, 2.0 / 255.0, -1.0, False, ["NMS", "NMS_1"], {})
    backend = PlainBackend(rows)
    return Detector(described, backend), backend, StepByStep(rows)


def same_numbers(detector: Detector, backend: PlainBackend, steps: StepByStep, frame: np.ndarray) -> None:
    """Fail unless both give the same bits of the tensor, where both resize alike, and the same boxes."""
    steps.prepare(frame)
    detector.prepare(cv2.resize(frame, (SIDE, SIDE)), 0, bgr=True)
    assert backend.slots[0].tobytes() == steps.pinned.tobytes()
    found, wanted = detector.finish(0, (HEIGHT, WIDTH), THRESHOLD), steps.finish((HEIGHT, WIDTH))
    assert len(found) == len(wanted) == FOUND
    for one, (class_id, score, box) in zip(found, wanted):
        assert one["class_id"] == class_id and one["score"] == round(score, 5)
        assert all(edge - 0.01 <= exact < edge + 1.01 for edge, exact in zip(box, one["box"]))


def measure_time(reuse: bool) -> None:
    """Processor time over many frames, the ways taken in turns.

    Args:
        reuse: frames come in the same memory again and again. Else each comes in memory of its own, and where that is
            given back glibc learns to keep large blocks, other temporaries too, instead of asking the system each time.
    """
    cv2.setNumThreads(1)
    detector, backend, steps = detector_and_steps()
    pictures = frames(FRAMES)
    same_numbers(detector, backend, steps, pictures[0])
    small, buffer = np.empty((SIDE, SIDE, 3), np.uint8), np.empty_like(pictures[0]) if reuse else None
    ways: Dict[str, Callable[[np.ndarray], Any]] = {
        "ssd.py: frame to tensor": steps.prepare,
        "ssd.py: rows to boxes": lambda _: steps.finish((HEIGHT, WIDTH)),
        "detect, bilinear as ssd.py: frame to tensor": lambda frame: detector.prepare(
            cv2.resize(frame, (SIDE, SIDE), dst=small), 0, bgr=True
        ),
        "detect: rows to boxes": lambda _: detector.finish(0, (HEIGHT, WIDTH), THRESHOLD),
        "detect, live: frame to tensor": lambda frame: detector.prepare(frame, 0, bgr=True, quick=True),
        "detect, pictures: frame to tensor": lambda frame: detector.prepare(frame, 0, bgr=True),
        "the bilinear resize alone": lambda frame: cv2.resize(frame, (SIDE, SIDE), dst=small),
    }
    times: Dict[str, List[float]] = {name: [] for name in ways}
    for frame in itertools.islice(itertools.cycle(pictures), ROUNDS):
        for name, way in ways.items():
            given = frame.copy() if buffer is None else buffer
            np.copyto(given, frame)
            begun = time.thread_time()
            way(given)
            times[name].append(1000 * (time.thread_time() - begun))
    for share, title in ((50, "median"), (5, "least disturbed (5 %)")):
        _tell(title, {name: float(np.percentile(values, share)) for name, values in times.items()})


def _tell(title: str, taken: Dict[str, float]) -> None:
    for name, value in taken.items():
        print(f"{title}: {name:50} {value:.3f} ms")
    theirs = taken["ssd.py: frame to tensor"] + taken["ssd.py: rows to boxes"]
    for name in ("bilinear as ssd.py", "live", "pictures"):
        ours = taken[f"detect, {name}: frame to tensor"] + taken["detect: rows to boxes"]
        print(f"{title}: {name}: {ours:.2f} of {theirs:.2f} ms: {ours / theirs:.2f}")


Way = Callable[[np.ndarray, int, int], np.ndarray]


def bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """OpenCV's, and nothing before."""
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def moved(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area averaging of the picture one pixel further right, as a camera that trembles sees it: what noise is."""
    return pixels.resize(np.roll(picture, 1, axis=1), height, width)


class Effect(NamedTuple):
    """Detections after one way to shrink against those after area averaging; ``alone``: on one side only."""

    pairs: List[Tuple[float, float]]
    alone: int


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Of boxes xmin, ymin, xmax, ymax."""
    across, down = (min(one[end + 2], other[end + 2]) - max(one[end], other[end]) for end in (0, 1))
    common = max(across, 0) * max(down, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (areas - common) if areas > common else 0.0


def compared(wanted: List[Detection], found: List[Detection]) -> Effect:
    """Detections over the threshold on either side, each with the one of its class that it overlaps most."""
    pairs, alone = [], 0
    for first, second, keeps in ((wanted, found, True), (found, wanted, False)):
        for one in first:
            if one["score"] < LEAST_SCORE:
                continue
            others = [
                (iou(one["box"], other["box"]), abs(one["score"] - other["score"]))
                for other in second
                if other["class_id"] == one["class_id"]
            ]
            best = max(others, default=(0.0, 1.0))
            if best[0] < LEAST_PAIR_IOU:
                alone += 1
            elif keeps:
                pairs.append(best)
    return Effect(pairs, alone)


def measure_effect(model: str, folder: str) -> None:
    """A line for each way to shrink: what it does to scores and boxes."""
    detector = detectors.reference(model)
    ways: Dict[str, Way] = {"quick": quickly_resized, "bilinear only": bilinear, "moved by a pixel": moved}
    effects: Dict[str, List[Effect]] = {name: [] for name in ways}
    paths = [path for path in sorted(Path(folder).iterdir()) if path.suffix in (".jpg", ".png")]
    for path in paths:
        picture = pixels.resize(pixels.decode(path.read_bytes()), HEIGHT, WIDTH)
        size = detector.height, detector.width
        wanted = detector.detect(pixels.resize(picture, *size))
        for name, way in ways.items():
            effects[name].append(compared(wanted, detector.detect(way(picture, *size))))
    for name, each in effects.items():
        overlaps, differences = zip(*(pair for one in each for pair in one.pairs))
        print(
            f"{name:17} {len(overlaps)} detections on {len(paths)} pictures: score differs by"
            f" {statistics.mean(differences):.3f} (95 %: {np.percentile(differences, 95):.3f}),"
            f" IoU {statistics.mean(overlaps):.3f}, {sum(one.alone for one in each)} on one side only"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("time").add_argument("--reuse", action="store_true", help="frames come in the same memory")
    effect = commands.add_parser("effect")
    effect.add_argument("model")
    effect.add_argument("pictures")
    options = parser.parse_args()
    if options.command == "time":
        measure_time(options.reuse)
    else:
        measure_effect(options.model, options.pictures)


if __name__ == "__main__":
    main()
