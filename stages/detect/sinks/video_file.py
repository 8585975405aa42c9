"""A video file with the boxes drawn: H.264, which browsers play, wherever there is an encoder for it."""

import os
import shutil
import time
from typing import Any, Iterator, NamedTuple, Optional

import cv2
import numpy as np

from stages import pixels
from stages.detect.opencv import has_ffmpeg, has_gstreamer, video_writer
from stages.detect.sinks import aside
from stages.detect.sinks.sink import Finding, FrameSink
from stages.detect.sources.source import Tell
from stages.job import BadInput, StageFailed

SUFFIX = ".mp4"
BITS_PER_PIXEL = 0.15  # of H.264: 4 Mbit/s at 1280x720 and 30 frames a second
SPARE_BYTES = 64 << 20  # left on the disk, so that the file can still be finished
LOOK_EVERY = 30  # frames
LONGEST_GAP_S = 2.0  # that a video shows of a time in which the camera gave nothing
# The board's own encoder: NVIDIA's newer element, then the one of JetPack 4.2.
ENCODERS = (
    "video/x-raw(memory:NVMM), format=(string)NV12 ! nvv4l2h264enc bitrate=%(bitrate)d maxperf-enable=1",
    "video/x-raw(memory:NVMM), format=(string)I420 ! omxh264enc bitrate=%(bitrate)d",
)
PIPELINE = (
    "appsrc ! video/x-raw, format=(string)BGR ! queue ! videoconvert ! video/x-raw, format=(string)BGRx ! nvvidconv"
    ' ! %(encoder)s ! h264parse ! mp4mux ! filesink location="%(path)s"'
)


class Opened(NamedTuple):
    """A writer that has begun, and whether browsers play what it writes."""

    writer: Any
    plays_in_browsers: bool


class VideoSink(FrameSink):
    """Writes ``path``, which has its name once it is whole; an odd last row or column is left out.

    A camera's frames are repeated where some are missing, so that the video lasts as long as what it shows.

    Args:
        fps: of the video.
        live: the frames are a camera's.
        tell: takes warnings.

    Raises:
        BadInput: it is no .mp4, or there already.
    """

    def __init__(self, path: str, fps: float, live: bool, tell: Tell) -> None:
        if not path.lower().endswith(SUFFIX):
            raise BadInput("%s is no name for a video; end it with %s" % (path, SUFFIX))
        self.title, self._path, self._aside = path, path, aside.begun(path)
        self._fps, self._live, self._tell = fps, live, tell
        self._writer: Any = None
        self._height = self._width = self._written = self._look_at = 0
        self._forgotten_s = self._last = 0.0
        self._cost_s = 1.0

    def write(self, finding: Finding) -> None:
        picture = finding.drawn()
        if self._writer is None:
            self._begin(picture)
        if self._written >= self._look_at:
            self._look_at_disk()
        if picture.shape[:2] != (self._height, self._width):
            picture = pixels.resize(picture, self._height, self._width)
        even = np.ascontiguousarray(picture[: self._height // 2 * 2, : self._width // 2 * 2])
        begun, times = time.monotonic(), self._times(finding.frame.time)
        for _ in range(times):
            self._writer.write(even)
        self._written += times
        self._cost_s = (time.monotonic() - begun) / times

    def close(self) -> None:
        if self._writer is None:
            return
        self._writer.release()
        held = _frames_in(self._aside)
        if held == 0:
            if os.path.exists(self._aside):
                os.unlink(self._aside)
            raise StageFailed("%s could not be finished and is not kept; make room on the disk" % self._path)
        aside.finished(self._aside, self._path)
        if held is not None and held < self._written:
            raise StageFailed(
                "%s holds only %d of %d frames; make room on the disk" % (self._path, held, self._written)
            )

    def _begin(self, picture: np.ndarray) -> None:
        self._height, self._width = picture.shape[:2]
        size = self._width // 2 * 2, self._height // 2 * 2
        opened = next((one for one in _writers(self._aside, self._fps, size) if one.writer.isOpened()), None)
        if opened is None:
            raise StageFailed("OpenCV cannot write the video %s; write lines:PATH instead" % self._path)
        self._writer = opened.writer
        if not opened.plays_in_browsers:
            self._tell(
                "%s is MPEG-4, which browsers do not play, for this OpenCV has no encoder for H.264; VLC and mpv do"
                % self._path
            )

    def _times(self, seconds: float) -> int:
        """How often a frame of this time is written: until the video is as long as what it shows.

        But no oftener than there was time for since the one before: an encoder that is too slow would fall behind more
        and more. And no longer than a short gap, such as of a camera that was away. What is left out is forgotten.
        """
        if not self._live:
            return 1
        step, self._last = min(seconds - self._last, LONGEST_GAP_S), seconds
        wanted = int(round((seconds - self._forgotten_s) * self._fps)) + 1 - self._written
        times = max(1, min(wanted, int(step * self._fps + 1), int(step / self._cost_s)))
        self._forgotten_s += max(0, wanted - times) / self._fps
        return times

    def _look_at_disk(self) -> None:
        self._look_at = self._written + LOOK_EVERY
        if shutil.disk_usage(os.path.dirname(self._aside) or ".").free < SPARE_BYTES:
            raise StageFailed(
                "The disk is nearly full: %s ends after %d frames; free some space and start again"
                % (self._path, self._written)
            )


def _writers(path: str, fps: float, size: Any) -> Iterator[Opened]:
    """The ways to write a video, the best first; one that is not there is not opened."""
    if has_gstreamer():
        escaped = path.replace("\\", "\\\\").replace('"', '\\"')
        for encoder in ENCODERS:
            chosen = encoder % {"bitrate": int(size[0] * size[1] * fps * BITS_PER_PIXEL)}
            pipeline = PIPELINE % {"encoder": chosen, "path": escaped}
            yield Opened(video_writer(pipeline, cv2.CAP_GSTREAMER, 0, fps, size), True)
    for fourcc in ("avc1", "mp4v"):
        code = cv2.VideoWriter_fourcc(*fourcc)
        yield Opened(video_writer(path, cv2.CAP_FFMPEG, code, fps, size), fourcc == "avc1")


def _frames_in(path: str) -> Optional[int]:
    """How many frames a file holds, read again: OpenCV says nothing of a full disk. None: nothing here can read it."""
    if not has_ffmpeg():
        return None
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) if capture.isOpened() else 0
