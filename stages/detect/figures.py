"""How fast live detection is: frames a second, and how old a frame is when it is shown."""

import collections
import threading
import time
from typing import Any, Deque, Dict, Tuple

import numpy as np

RECENT_S = 5.0
MOST_LATENCIES = 20000  # remembered for the end: the last ten minutes at 30 a second


class Figures:
    """Counts what passes; any thread may ask.

    Attributes:
        frames, detections: looked at, and found on them.
        left_out: frames that came and were not looked at, because the one before took too long.
    """

    def __init__(self) -> None:
        self.frames = self.detections = self.left_out = 0
        self._lock = threading.Lock()
        self._began = self._last = time.monotonic()
        self._looks: Deque[float] = collections.deque(maxlen=1000)
        self._latencies: Deque[Tuple[float, float]] = collections.deque(maxlen=MOST_LATENCIES)

    def looked(self, number: int, detections: int) -> None:
        """The frame of this number was looked at, and so much found on it."""
        now = time.monotonic()
        with self._lock:
            if not self.frames:
                self._began = now
            self._last = now
            self.frames += 1
            self.detections += detections
            self.left_out = number + 1 - self.frames
            self._looks.append(now)

    def shown(self, taken_at: float) -> None:
        """The frame that was had then has been shown now."""
        now = time.monotonic()
        with self._lock:
            self._latencies.append((now, now - taken_at))

    def fps(self) -> float:
        """Frames a second over the last five."""
        now = time.monotonic()
        with self._lock:
            recent = [look for look in self._looks if now - look <= RECENT_S]
        return (len(recent) - 1) / (now - recent[0]) if len(recent) > 1 else 0.0

    def latency(self, recent: bool = True) -> Tuple[float, float]:
        """Median and ninetieth percentile in milliseconds, of the last five seconds or of all; 0 where nothing was."""
        now = time.monotonic()
        with self._lock:
            values = [latency for when, latency in self._latencies if not recent or now - when <= RECENT_S]
        if not values:
            return 0.0, 0.0
        median, high = np.percentile(values, (50, 90))
        return round(1000 * float(median), 1), round(1000 * float(high), 1)

    def sentence(self) -> str:
        """The state of things in a few words."""
        words = "%.1f FPS, latency %.0f ms (p90 %.0f ms)" % ((self.fps(),) + self.latency())
        return words + (", %d left out" % self.left_out if self.left_out else "")

    def summary(self) -> Dict[str, Any]:
        """The figures of the whole run."""
        seconds = self._last - self._began
        median, high = self.latency(recent=False)
        return {
            "frames": self.frames,
            "detections": self.detections,
            "left_out": self.left_out,
            "fps": round((self.frames - 1) / seconds, 2) if seconds > 0 else 0.0,
            "latency_ms": median,
            "latency_p90_ms": high,
        }
