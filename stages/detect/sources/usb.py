"""USB cameras, by Video4Linux."""

import glob
import os
import re
from typing import Any, List

import cv2

from stages.detect.sources.camera import Camera
from stages.detect.sources.source import Tell
from stages.job import BadInput

DEVICE = re.compile(r"/dev/video(\d+)")
MOTION_JPEG = "MJPG"  # raw pictures of 1280x720 are more than USB 2 carries 30 times a second


class UsbCamera(Camera):
    """The camera ``/dev/video<number>``.

    Args:
        size, fps: asked for; a camera may give others.

    Raises:
        BadInput: there is no such device, or it may not be used.
    """

    remedy = "look at its cable, and whether another program uses it (`fuser -v /dev/video*`)"

    def __init__(self, number: int, size: List[int], fps: int, tell: Tell) -> None:
        self._number, self._size = number, size
        self._path = "/dev/video%d" % number
        super().__init__("The camera %s" % self._path, float(fps), tell)
        self._check()

    def _check(self) -> None:
        if not os.path.exists(self._path):
            there = ", ".join(sorted(glob.glob("/dev/video*"))) or "no camera"
            raise BadInput("There is no %s; plug the camera in, or name another (here is %s)" % (self._path, there))
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise BadInput("%s may not be used by you; `sudo usermod -aG video $USER`, then log in again" % self._path)

    def open(self) -> Any:
        self._check()
        capture = cv2.VideoCapture(cv2.CAP_V4L2 + self._number)  # one number: as OpenCV 3 has it too
        if not capture.isOpened():
            raise BadInput("%s cannot be opened as a camera" % self._path)
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*MOTION_JPEG))
        height, width = self._size
        for name, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, self.fps),
        ):
            capture.set(name, value)
        return capture


def number_of(name: str) -> int:
    """The number of ``usb:0``, ``/dev/video0``, or a link to such a device as in /dev/v4l/by-id.

    Raises:
        BadInput: it is none of these.
    """
    found = re.match(r"usb:(\d+)$", name) or re.match(DEVICE.pattern + "$", os.path.realpath(name))
    if not found:
        raise BadInput("%s is no camera; name one as usb:0 or /dev/video0" % name)
    return int(found.group(1))
