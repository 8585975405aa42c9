"""A detector that needs no network, sources and sinks that do as told: what the tests of live detection are made of."""

import threading
import time

import cv2
import numpy as np

from stages.detect.sinks.sink import FrameSink
from stages.detect.sources.source import FrameSource, LiveFrame


def photo(height, width, seed=0):
    """A smooth random picture."""
    small = np.random.RandomState(seed).randint(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def write_video(path, count=6, size=(60, 80), fps=10.0):
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), fps, (size[1], size[0]))
    photos = [photo(size[0], size[1], index) for index in range(min(count, 20))]
    for index in range(count):
        writer.write(photos[index % len(photos)])
    writer.release()
    return str(path)


def found(score=0.9, class_id=1):
    return {"class": "cone", "class_id": class_id, "score": score, "box": [10.0, 10.0, 40.0, 30.0]}


class SlowNetwork:
    """A detector whose network takes ``seconds`` a picture, one after the other, while its caller does other things."""

    def __init__(self, seconds=0.0, slots=2):
        self.slots, self.seconds = slots, seconds
        self._done = [0.0] * slots
        self.log = []

    def prepare(self, picture, slot, bgr=False, quick=False):
        assert bgr
        self.quick = quick
        self.log.append(("prepare", slot, int(picture[0, 0, 0])))

    def start(self, slot):
        self.log.append(("start", slot))
        self._done[slot] = max(time.monotonic(), *self._done) + self.seconds

    def finish(self, slot, size, threshold=0.0):
        time.sleep(max(0.0, self._done[slot] - time.monotonic()))
        self.log.append(("finish", slot))
        return [one for one in (found(0.9), found(0.4)) if one["score"] >= threshold]


class Numbered(FrameSource):
    """Frames whose first pixel is their number; ``every`` seconds where it is a camera, else as fast as they go."""

    title, fps = "numbers", 30.0

    def __init__(self, count, every=None, error=None):
        self.live, self.total, self._every, self._error = every is not None, count, every, error

    def frames(self, stopping):
        begun = time.monotonic()
        for number in range(self.total):
            if self.live:
                time.sleep(max(0.0, begun + number * self._every - time.monotonic()))
            if stopping():
                return
            picture = np.full((48, 64, 3), number % 256, np.uint8)
            yield LiveFrame(picture, number, number / self.fps, time.monotonic())
        if self._error:
            raise self._error


class Kept(FrameSink):
    """Keeps what it gets; takes its time, fails or is closed after so many."""

    def __init__(self, seconds=0.0, ends_after=None, error=None, title="kept"):
        self.title, self._seconds, self._ends_after, self._error = title, seconds, ends_after, error
        self.findings, self.closed, self.threads = [], 0, set()

    def write(self, finding):
        self.threads.add(threading.current_thread())
        time.sleep(self._seconds)
        if self._ends_after is not None and len(self.findings) >= self._ends_after:
            raise self._error
        self.findings.append(finding)

    def close(self):
        self.closed += 1

    @property
    def numbers(self):
        return [finding.frame.number for finding in self.findings]
