"""What live detection's threads are worth: frames lost and latency, beside the same steps one after the other.

Simulated: a camera of 1280x720 that keeps its newest frame only, and a network of 300x300 that takes 30 ms. Real:
preprocessing, reading out, drawing and the video's encoder. Usage, with the data or train environment's Python:

PYTHONPATH=. python benchmarks/live_pipeline.py [seconds]
"""

import os
import sys
import tempfile
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from stages import pixels
from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.detect.figures import Figures
from stages.detect.pipeline import Pipeline
from stages.detect.sinks.sink import Finding, FrameSink
from stages.detect.sinks.video_file import VideoSink
from stages.detect.sources.source import FrameSource, LiveFrame, Stopping

FPS, NETWORK_S, SIZE, INPUT = 30.0, 0.030, (720, 1280), 300
FOUND = 10  # boxes on each frame


class ThirtyMilliseconds(Backend):
    """A device that computes one picture after the other, each in 30 ms, and leaves the processor alone meanwhile."""

    def __init__(self) -> None:
        self.slots = [np.empty((3, INPUT, INPUT), np.float32) for _ in range(2)]
        self._ready_at = [0.0, 0.0]
        places = np.random.RandomState(0).uniform(0.1, 0.5, (FOUND, 2))
        self._rows = np.zeros((FOUND, 7), np.float32)
        self._rows[:, 1:3] = 1, 0.9
        self._rows[:, 3:5], self._rows[:, 5:7] = places, places + 0.3

    def start(self, slot: int) -> None:
        """Begin when the one before is ready."""
        self._ready_at[slot] = max(time.monotonic(), *self._ready_at) + NETWORK_S

    def finish(self, slot: int) -> np.ndarray:
        """Wait until then."""
        time.sleep(max(0.0, self._ready_at[slot] - time.monotonic()))
        return self._rows

    def close(self) -> None:
        """Nothing was taken."""


class SteadyCamera(FrameSource):
    """A frame is there every 33 ms; :meth:`read` gives the newest, and waits where that was had already."""

    live, fps, total, title = True, FPS, 0, "a simulated camera"

    def __init__(self, seconds: float) -> None:
        small = np.random.RandomState(1).randint(0, 256, (30, 50, 3)).astype(np.uint8)
        wide = pixels.resize(small, SIZE[0], SIZE[1] + 64)
        places = [*range(0, 64, 4), *range(64, 0, -4)]  # the camera turns to and fro
        self._pictures = [np.ascontiguousarray(wide[:, place : place + SIZE[1]]) for place in places]
        self._count, self._begun, self._next = int(seconds * FPS), 0.0, 0

    def read(self) -> Optional[LiveFrame]:
        """The newest frame, a copy as OpenCV makes one; None at the end."""
        now = time.monotonic()
        self._begun = self._begun or now
        number = max(self._next, int((now - self._begun) * FPS))
        if number >= self._count:
            return None
        due = self._begun + number / FPS
        time.sleep(max(0.0, due - now))
        self._next = number + 1
        return LiveFrame(self._pictures[number % len(self._pictures)].copy(), number, number / FPS, due)

    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        frame = self.read()
        while frame is not None:
            yield frame
            frame = self.read()


class Watched(FrameSink):
    """Notes for every frame, by its number, how long after it was there it was through another sink."""

    def __init__(self, sink: FrameSink) -> None:
        self.title, self._sink = sink.title, sink
        self.latencies: Dict[int, float] = {}

    def write(self, finding: Finding) -> None:
        self._sink.write(finding)
        self.latencies[finding.frame.number] = time.monotonic() - finding.frame.taken_at

    def close(self) -> None:
        self._sink.close()


class Lap(NamedTuple):
    """What came of a number of frames: latencies in seconds of those that were written."""

    given: int
    latencies: List[float]

    def row(self, name: str) -> str:
        """A row of the table."""
        median, high = 1000 * np.percentile(self.latencies, (50, 90))
        cells = (name, self.given, self.given - len(self.latencies), median, high, median - 1000 * NETWORK_S)
        return "| {} | {} | {} | {:.1f} | {:.1f} | {:.1f} |".format(*cells)


def detector() -> Detector:
    """A detector of 300x300 around the simulated network."""
    classes = ["background", "cone"]
    described = Description("", classes, INPUT, INPUT, 2 / 255.0, -1.0, False, ["NMS", "NMS_1"], {})
    return Detector(described, ThirtyMilliseconds())


def in_threads(seconds: float, sink: Optional[FrameSink]) -> Lap:
    """The pipeline, to a sink, or to none: then a frame is through when its detections are there."""
    figures, seen = Figures(), Watched(sink or Nowhere())
    Pipeline(SteadyCamera(seconds), detector(), [seen], figures, 0.5, 0, print, lambda: None).run(lambda: False)
    return Lap(int(seconds * FPS), list(seen.latencies.values()))


def one_after_the_other(seconds: float, sink: Optional[FrameSink]) -> Lap:
    """The loop that one would write first: read, prepare, compute, draw, write."""
    camera, model, to, latencies = SteadyCamera(seconds), detector(), sink or Nowhere(), []
    frame = camera.read()
    while frame is not None:
        model.prepare(frame.picture, 0, bgr=True, quick=True)
        model.start(0)
        to.write(Finding(frame, model.finish(0, SIZE, 0.5)))
        latencies.append(time.monotonic() - frame.taken_at)
        frame = camera.read()
    to.close()
    return Lap(int(seconds * FPS), latencies)


class Nowhere(FrameSink):
    """Takes findings and does nothing."""

    title = "nowhere"

    def write(self, finding: Finding) -> None:
        """That is all."""


def main(seconds: float) -> None:
    """Print the table: each way with no sink, and with a video."""
    cv2.setNumThreads(1)
    print("| way | frames given | lost | median latency ms | p90 ms | median over the network's 30 ms |")
    print("|---|---|---|---|---|---|")
    ways: Tuple[Tuple[str, Callable[[float, Optional[FrameSink]], Lap]], ...] = (
        ("one after the other", one_after_the_other),
        ("in threads", in_threads),
    )
    with tempfile.TemporaryDirectory() as folder:
        for way, run in ways:
            print(run(seconds, None).row(way + ", to detections"))
            video = VideoSink(os.path.join(folder, run.__name__ + ".mp4"), FPS, True, lambda _: None)
            print(run(seconds, video).row(way + ", drawn and in a video"))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
