"""Video files, frame by frame, through OpenCV's FFmpeg."""

import math
from typing import Iterator

import cv2
import numpy as np

from stages import files
from stages.detect.opencv import video_writer
from stages.job import BadInput, StageFailed

USUAL_FPS = 25.0


class VideoReader:
    """The frames of the video at ``path``.

    Attributes:
        fps: frames per second, 25 where the file does not say.
        declared: how many frames the file says it has, 0 where it does not.

    Raises:
        BadInput: the file is not a video, or its frames are too large.
    """

    def __init__(self, path: str, max_megapixels: int) -> None:
        self.path = path
        # FFmpeg only: OpenCV would also take the name of a picture for a sequence of pictures
        self._capture = cv2.VideoCapture(self._name(), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise BadInput(
                "%s is neither a picture nor a video that can be read; name a picture, a folder or a video" % path
            )
        width, height = (int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > max_megapixels * 1000000:
            raise BadInput(
                "%s has frames of %d x %d pixels, more than the %d megapixels they may have (dataset.max_megapixels)"
                % (path, width, height, max_megapixels)
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else USUAL_FPS
        self.declared = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def _name(self) -> str:
        """The path as OpenCV takes it: it knows names in UTF-8 only, so of any other the open file."""
        if files.readable(self.path) == self.path:
            return self.path
        self._file = files.opened(self.path)
        return "/proc/self/fd/%d" % self._file.fileno()

    def frames(self, bgr: bool = False) -> Iterator[np.ndarray]:
        """The frames, uint8 RGB, or ``bgr``, [height, width, 3], until the end or the first that cannot be decoded."""
        found, frame = self._capture.read()
        if not found:
            raise BadInput("%s is a video without a frame that can be read; record or copy it again" % self.path)
        while found:
            yield frame if bgr else cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            found, frame = self._capture.read()
        self._capture.release()


class VideoWriter:
    """An MPEG-4 video at ``path`` (.mp4) of frames [height, width, 3]; an odd last row or column is left out."""

    def __init__(self, path: str, fps: float, height: int, width: int) -> None:
        self._path, self._written = path, 0
        self._writer = video_writer(path, cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
        if not self._writer.isOpened():
            raise StageFailed("OpenCV could not begin the video %s; set detect.draw to false to go without it" % path)

    def write(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 RGB."""
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._written += 1

    def close(self) -> None:
        """Finish the file, and read it again: OpenCV says nothing of a full disk.

        Raises:
            StageFailed: the file does not hold the frames that were written.
        """
        self._writer.release()
        capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG)
        held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        if held != self._written:
            raise StageFailed(
                "The video %s holds %d of %d frames; make room on the disk and run detect again"
                % (self._path, held, self._written)
            )
