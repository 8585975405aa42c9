"""Network cameras, by RTSP over TCP."""

import socket
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import cv2

from stages.detect.opencv import has_gstreamer
from stages.detect.sources.camera import Camera
from stages.detect.sources.source import Tell
from stages.jetson.board import Board
from stages.job import BadInput

PORT = 554  # RFC 2326
CONNECT_S = 5.0
USUAL_FPS = 25.0
# On a board, decoded by its own processor: decodebin takes NVIDIA's decoder, be it H.264 or H.265. A camera with a
# microphone offers sound too, and might offer it first.
PIPELINE = (
    'rtspsrc location="%s" protocols=tcp latency=100 ! application/x-rtp, media=(string)video ! decodebin'
    " ! nvvidconv ! video/x-raw, format=(string)BGRx ! videoconvert ! video/x-raw, format=(string)BGR"
    " ! appsink drop=true max-buffers=1 sync=false"
)


class RtspCamera(Camera):
    """The camera at an address such as ``rtsp://user:password@host/path``; the password is never shown.

    Raises:
        BadInput: it is no such address.
    """

    remedy = "look at the address, its user and password, and whether another player shows it"

    def __init__(self, address: str, tell: Tell) -> None:
        super().__init__(without_secrets(address), USUAL_FPS, tell)
        try:
            parts = urlsplit(address)
            self._place = parts.hostname or "", parts.port or PORT
        except ValueError:
            self._place = "", PORT
        if not self._place[0] or '"' in address:
            raise BadInput("%s is no address of a camera; it looks like rtsp://user:password@host/path" % self.title)
        self._address = address

    def open(self) -> Any:
        try:
            socket.create_connection(self._place, CONNECT_S).close()
        except OSError as error:
            raise BadInput("%s does not answer (%s)" % (self.title, error.strerror or error)) from None
        capture = self._capture()
        if not capture.isOpened():
            raise BadInput("%s answers, but gives no video" % self.title)
        return capture

    def _capture(self) -> Any:
        if has_gstreamer() and Board().l4t():
            return cv2.VideoCapture(PIPELINE % self._address, cv2.CAP_GSTREAMER)
        if not hasattr(cv2, "CAP_PROP_READ_TIMEOUT_MSEC"):  # before OpenCV 4.5.2; TCP is what it takes anyway
            return cv2.VideoCapture(self._address, cv2.CAP_FFMPEG)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * self.first_frame_s)]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * self.silence_s)]
        return cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, limits)


def without_secrets(address: str) -> str:
    """An address without user, password and query, in which some cameras have them."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "rtsp://***"
    userinfo = "***@" if "@" in parts.netloc else ""
    return urlunsplit((parts.scheme, userinfo + host, parts.path, "***" if parts.query else "", ""))
