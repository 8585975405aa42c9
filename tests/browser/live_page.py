"""A simulated camera and detector, and the page that shows them. Usage, with the data environment's Python:

PYTHONPATH=.:tests/jetson python tests/browser/live_page.py PORT

Says the page's address; ``stall`` on standard input holds the camera up, ``go`` lets it go on; ends with its input.
"""

import sys
import threading
import time
from typing import Iterator

import numpy as np
from live_parts import SlowNetwork

from stages.detect.figures import Figures
from stages.detect.pipeline import Pipeline
from stages.detect.sinks.mjpeg import MjpegSink
from stages.detect.sources.source import FrameSource, LiveFrame, Stopping


class SimulatedCamera(FrameSource):
    """Twenty grey pictures a second, 320x180, each brighter than the one before, over and over."""

    live, fps, total, title = True, 20.0, 0, "rtsp://***@cellar/<b>door</b>"

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()

    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        number = 0
        while not stopping():
            if self.goes_on.wait(0.1):
                picture = np.full((180, 320, 3), 10 * (number % 25), np.uint8)
                yield LiveFrame(picture, number, number / self.fps, time.monotonic())
                number += 1
                time.sleep(1 / self.fps)


class Network(SlowNetwork):
    def prepare(self, picture: np.ndarray, slot: int, bgr: bool = False, quick: bool = False) -> None:
        """Nothing is to be done."""


def main(port: int) -> None:
    camera, figures, ended = SimulatedCamera(), Figures(), threading.Event()
    sink = MjpegSink(port, figures, camera.title)
    print(sink.title, flush=True)

    def follow() -> None:
        for line in sys.stdin:
            {"stall": camera.goes_on.clear, "go": camera.goes_on.set}[line.strip()]()
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    pipeline = Pipeline(camera, Network(0.01), [sink], figures, 0.5, 0, print, lambda: None)
    pipeline.run(ended.is_set)


if __name__ == "__main__":
    main(int(sys.argv[1]))
