"""Pictures, folders of pictures and video files: every frame is looked at, however long that takes."""

import time
from typing import Iterator

import cv2

from stages import pixels
from stages.detect import pictures
from stages.detect.sources.source import FrameSource, LiveFrame, Stopping, Tell
from stages.detect.video import VideoReader
from stages.job import BadInput


class PictureSource(FrameSource):
    """The picture at ``path``, or all in that folder and the folders in it, by name; a second each.

    Raises:
        BadInput: there is no picture.
    """

    live = False
    fps = 1.0

    def __init__(self, path: str, tell: Tell) -> None:
        self.title, self._tell = path, tell
        self._pictures = pictures.from_files(path, pixels.MAX_MEGAPIXELS, tell, live=True)
        self.total = len(self._pictures)

    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        number = 0
        for source in self._pictures:
            try:
                picture = source.load(None).picture
            except ValueError as error:
                self._tell("%s is left out: %s" % (source.name, error))
                continue
            blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            yield LiveFrame(blue_first, number, number / self.fps, time.monotonic(), source.name)
            number += 1
        if not number:
            raise BadInput(
                "None of the %d pictures in %s can be read; check the files" % (len(self._pictures), self.title)
            )


class VideoSource(FrameSource):
    """The frames of a video file.

    Raises:
        BadInput: the file is not a video, or its frames are too large.
    """

    live = False

    def __init__(self, path: str, tell: Tell) -> None:
        self.title, self._tell = path, tell
        self._reader = VideoReader(path, pixels.MAX_MEGAPIXELS)
        self.fps, self.total = self._reader.fps, self._reader.declared

    def frames(self, stopping: Stopping) -> Iterator[LiveFrame]:
        count = 0
        for picture in self._reader.frames(bgr=True):
            yield LiveFrame(picture, count, count / self.fps, time.monotonic())
            count += 1
        if count < self.total:
            self._tell("%s has %d frames, but only the first %d can be read" % (self.title, self.total, count))
