"""A page on this machine that shows what is seen: the drawn pictures as Motion JPEG, the figures, what was found.

A browser gets the newest picture whenever it has taken the one before, so a slow one sees fewer and holds up nobody.
Pictures are encoded when the first browser asks for them, and not at all where none looks.
"""

import json
import pkgutil
import socketserver
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Dict, Optional, Tuple

import cv2

from stages import drawing, serving
from stages.detect.figures import Figures
from stages.detect.sinks.sink import Finding, FrameSink
from stages.job import BadInput
from stages.system_errors import sentence_of

ADDRESS = "127.0.0.1"  # the pictures are for whoever sits here, or comes by ssh -L
BOUNDARY = "next-picture"
# Sent right after a picture, not when the next one is there: until then Chromium would not show it.
NEXT_PICTURE = ("\r\n--%s\r\nContent-Type: image/jpeg\r\n\r\n" % BOUNDARY).encode("ascii")
QUALITY = 80
MOST_BROWSERS = 16
SILENT_S = 10.0  # a browser that takes nothing for so long is gone
WAIT_S = 0.5
MISDIRECTED_REQUEST = 421  # RFC 7540; Python 3.6 has no name for it
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'self';"
    " script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Broadcast:
    """The newest finding, for whoever waits for it; its picture is encoded once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._finding: Optional[Finding] = None
        self._jpeg: Tuple[int, bytes] = (-1, b"")
        self._places = threading.BoundedSemaphore(MOST_BROWSERS)
        self.is_over = False

    def publish(self, finding: Finding) -> None:
        """Replace the finding."""
        with self._changed:
            self._finding = finding
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing will come any more."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def newest(self) -> Optional[Finding]:
        """The finding of now, None before the first."""
        return self._finding

    def newer_than(self, number: int) -> Optional[Finding]:
        """Wait a while for a finding with a higher number; None where none came."""
        with self._changed:
            if not self.is_over and (self._finding is None or self._finding.frame.number <= number):
                self._changed.wait(WAIT_S)
            found = self._finding
        return found if found is not None and found.frame.number > number else None

    def jpeg(self, finding: Finding) -> bytes:
        """The drawn picture of a finding."""
        with self._encoding:
            if self._jpeg[0] != finding.frame.number:
                _, encoded = cv2.imencode(".jpg", finding.drawn(), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                self._jpeg = finding.frame.number, encoded.tobytes()
            return self._jpeg[1]

    def enter(self) -> bool:
        """Take a place; False where there is none. Whoever got one gives it back by :meth:`leave`."""
        return self._places.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._places.release()


class MjpegHandler(BaseHTTPRequestHandler):
    """Answers GET: the page and its files, ``/state`` as JSON, ``/stream`` as Motion JPEG."""

    server_version = "Nanoforge"
    sys_version = ""
    timeout = SILENT_S

    def __init__(self, *arguments: Any, sink: "MjpegSink") -> None:
        self._sink = sink
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if not all(map(serving.is_local, self.headers.get_all("Host") or [""])):
                self.send_error(MISDIRECTED_REQUEST, serving.REFUSAL)
            elif path == "/stream":
                self._stream()
            elif path == "/state":
                self._answer("application/json", json.dumps(self._sink.state()).encode("utf-8"))
            elif path in FILES:
                name, kind = FILES[path]
                self._answer(kind, pkgutil.get_data("stages.detect", "page/" + name) or b"")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)
        except OSError:  # the browser is gone, or takes nothing
            self.close_connection = True

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads what was asked for."""

    def _answer(self, kind: str, data: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        broadcast = self._sink.broadcast
        if not broadcast.enter():
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "%d browsers look already." % MOST_BROWSERS)
            return
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=" + BOUNDARY)
            self.end_headers()
            self.wfile.write(NEXT_PICTURE[2:])
            number = -1
            while not broadcast.is_over:
                finding = broadcast.newer_than(number)
                if finding is not None:
                    number = finding.frame.number
                    self.wfile.write(broadcast.jpeg(finding) + NEXT_PICTURE)
        finally:
            broadcast.leave()


class MjpegServer(socketserver.ThreadingMixIn, HTTPServer):
    """Asks no name server who it is, and waits for no browser at its end."""

    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the browser's affair."""


class MjpegSink(FrameSink):
    """Serves the page at ``http://127.0.0.1:<port>/``.

    Args:
        port: 0: any that is free.
        figures: shown on the page.
        source: its title, shown too.

    Attributes:
        broadcast: what the browsers see.
        port: that it listens at.

    Raises:
        BadInput: the port cannot be had.
    """

    def __init__(self, port: int, figures: Figures, source: str) -> None:
        self.broadcast = Broadcast()
        self._figures, self._source, self._wrote_at = figures, source, time.monotonic()
        try:
            self._server = MjpegServer((ADDRESS, port), partial(MjpegHandler, sink=self))
        except (OSError, OverflowError) as error:
            told = sentence_of(error)
            raise BadInput("Port %d cannot be had: %s" % (port, told.text if told else error)) from error
        self.port = self._server.server_port
        self.title = "http://%s:%d/" % (ADDRESS, self.port)
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        threading.Thread(target=serve, name="mjpeg", daemon=True).start()

    def write(self, finding: Finding) -> None:
        self._wrote_at = time.monotonic()
        self.broadcast.publish(finding)

    def close(self) -> None:
        self.broadcast.end()
        self._server.shutdown()
        self._server.server_close()

    def state(self) -> Dict[str, Any]:
        """What the page shows beside the picture."""
        finding, figures = self.broadcast.newest(), self._figures
        median, high = figures.latency()
        state: Dict[str, Any] = {
            "source": self._source,
            "fps": round(figures.fps(), 1),
            "latency": median,
            "latency_p90": high,
            "frames": figures.frames,
            "left_out": figures.left_out,
            "silent_s": round(time.monotonic() - self._wrote_at, 1),
            "detections": [],
        }
        if finding is not None:
            height, width = finding.frame.picture.shape[:2]
            state.update(frame=finding.frame.number, width=width, height=height)
            state["detections"] = [
                dict(one, color="#%02x%02x%02x" % drawing.color_of(one["class_id"])) for one in finding.detections
            ]
        return state
