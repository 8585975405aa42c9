"""A window on this machine's screen."""

import os
import time

import cv2

from stages.detect.opencv import has_windows
from stages.detect.sinks.sink import Finding, FrameSink, SinkClosed
from stages.detect.sources.source import Stopping
from stages.job import BadInput

INSTEAD = "watch in a browser (mjpeg:8080), or write a file (file:PATH)"
ESCAPE = 27
PAUSE_S = 0.02


class WindowSink(FrameSink):
    """Shows the drawn pictures until the window is closed, or q or Escape pressed in it.

    Args:
        title: of the window.
        stays: the last picture stays until the window is closed, or an end is asked for.

    Raises:
        BadInput: there is no screen, or this OpenCV knows no windows.
    """

    def __init__(self, title: str, stays: bool, stopping: Stopping) -> None:
        self.title, self._name = "the window", title
        self._stays, self._stopping = stays, stopping
        self._is_open = self._was_closed = False
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise BadInput("There is no screen here (DISPLAY is not set) for a window; %s" % INSTEAD)
        if not has_windows():
            raise BadInput("This OpenCV (%s) was built without windows; %s" % (cv2.__version__, INSTEAD))

    def write(self, finding: Finding) -> None:
        try:
            cv2.imshow(self._name, finding.drawn())
        except cv2.error as error:
            raise BadInput("OpenCV cannot show a window (%s); %s" % (str(error).strip(), INSTEAD)) from error
        self._is_open = True
        self.idle()

    def idle(self) -> None:
        if not self._is_open:
            return
        key = cv2.waitKey(1) & 0xFF
        # Not WND_PROP_VISIBLE: with GTK, which JetPack's OpenCV has, that is -1 of every window, this of none.
        if key in (ESCAPE, ord("q")) or cv2.getWindowProperty(self._name, cv2.WND_PROP_FULLSCREEN) < 0:
            self._was_closed = True
            raise SinkClosed()

    def close(self) -> None:
        try:
            while self._stays and self._is_open and not self._was_closed and not self._stopping():
                self.idle()
                time.sleep(PAUSE_S)
        except SinkClosed:
            pass
        if self._is_open and not self._was_closed:
            cv2.destroyWindow(self._name)
