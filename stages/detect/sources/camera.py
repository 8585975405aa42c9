"""What cameras have in common: they are slow to open, they hang, they are unplugged, and they come back.

OpenCV's ``read`` may never return, for instance where an RTSP server stalls, and not every OpenCV can be told to give
up. So it is called in a thread of its own; one that is silent for too long is left to itself, and another begun.
"""

import itertools
import threading
import time
from abc import abstractmethod
from typing import Any, Iterator, Optional, Tuple

import cv2
import numpy as np

from stages.detect.channel import POLL_S, Channel, Closed
from stages.detect.sources.source import FrameSource, LiveFrame, Stopping, Tell
from stages.job import BadInput

RELEASE_S = 1.0  # a CSI camera that is not given back may be found busy until nvargus-daemon is started again
Taken = Tuple[int, np.ndarray, float]
"""Number, picture, and when it was had."""


class CameraLost(Exception):
    """A camera gives no frames any more. The message goes on from the camera's name."""


class Camera(FrameSource):
    """A source that is opened again, after growing waits, whenever it is lost; a subclass says how.

    Only one that was never there is an error: what once gave a frame is expected back, until an end is asked for.

    Attributes:
        first_frame_s: how long opening it and the first frame may take.
        silence_s: how long it may be silent after that.
        first_wait_s, longest_wait_s: before it is opened again; each wait is twice the one before.
        numbers: of the frames.
        remedy: what to look at where it gives nothing.
    """

    live = True
    total = 0
    first_frame_s, silence_s = 15.0, 5.0
    first_wait_s, longest_wait_s = 1.0, 30.0
    remedy = "look at its cable"

    def __init__(self, title: str, fps: float, tell: Tell) -> None:
        self.title, self.fps, self._tell = title, fps, tell
        self.numbers = itertools.count()

    @abstractmethod
    def open(self) -> Any:
        """An opened cv2.VideoCapture; called in a thread of its own.

        Raises:
            BadInput: it cannot be opened.
        """

    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        begun: Optional[float] = None
        is_lost, wait_s = False, self.first_wait_s
        while not stopping():
            try:
                for number, picture, taken_at in self._taken(stopping):
                    begun = taken_at if begun is None else begun
                    if is_lost:
                        self._tell("%s is back" % self.title)
                    is_lost, wait_s = False, self.first_wait_s
                    yield LiveFrame(picture, number, taken_at - begun, taken_at)
            except (BadInput, CameraLost) as error:
                told = str(error) if isinstance(error, BadInput) else "%s %s" % (self.title, error)
                if begun is None:
                    raise BadInput("%s; %s" % (told, self.remedy)) from None
                if not is_lost:
                    self._tell("%s; it is opened again until it is back" % told)
                is_lost = True
            _sleep(wait_s, stopping)
            wait_s = min(2 * wait_s, self.longest_wait_s)

    def _taken(self, stopping: Stopping) -> Iterator[Taken]:
        """The frames of one opening."""
        reader = CameraReader(self, stopping)
        heard, patience = time.monotonic(), self.first_frame_s
        try:
            while not stopping():
                item = reader.channel.get()
                if item is not None:
                    heard, patience = time.monotonic(), self.silence_s
                    yield item
                elif time.monotonic() - heard > patience:
                    raise CameraLost("gave no frame for %g seconds" % patience)
        except Closed:
            raise CameraLost("gives no frames") from None
        finally:
            reader.leave()


class CameraReader:
    """A thread that opens a camera and reads it; the newest frame is in ``channel``, all others are left out."""

    def __init__(self, camera: Camera, stopping: Stopping) -> None:
        self.channel: Channel[Taken] = Channel(1, True, stopping)
        self._camera, self._left = camera, False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Let the thread end, and give the camera back if OpenCV returns to it soon; else by itself when it does."""
        self._left = True
        self.channel.close()
        self._thread.join(RELEASE_S)

    def _run(self) -> None:
        try:
            capture = self._camera.open()
            found, picture = capture.read()
            while found and not self._left:
                self.channel.put((next(self._camera.numbers), picture, time.monotonic()))
                found, picture = capture.read()
            capture.release()
        except (BadInput, cv2.error) as error:
            told = error if isinstance(error, BadInput) else CameraLost("cannot be read (%s)" % error)
            self.channel.close(told)
        finally:
            self.channel.close()


def _sleep(seconds: float, stopping: Stopping) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopping():
        time.sleep(min(POLL_S, max(0.0, end - time.monotonic())))
