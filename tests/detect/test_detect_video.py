"""Videos: what a file says of itself, and what a disk does not keep."""

import os

import cv2
import numpy as np
import pytest
from detect_data import photo

from stages.detect import opencv
from stages.detect.video import USUAL_FPS, VideoReader, VideoWriter
from stages.job import StageFailed


def written(path, count=4, size=(60, 80)):
    writer = VideoWriter(str(path), 10.0, *size)
    for index in range(count):
        writer.write(photo(*size, seed=index))
    writer.close()
    return str(path)


def test_what_is_written_is_read_again_in_order_and_colour(tmp_path):
    reader = VideoReader(written(tmp_path / "clip.mp4"), 100)
    frames = list(reader.frames())
    assert (reader.fps, reader.declared, len(frames)) == (10.0, 4, 4)
    for index, frame in enumerate(frames):
        assert (frame.shape, frame.dtype) == ((60, 80, 3), np.uint8)
        distances = [np.abs(frame.astype(int) - photo(60, 80, seed=other)).mean() for other in range(4)]
        assert min(range(4), key=distances.__getitem__) == index


def test_an_odd_row_and_column_are_left_out(tmp_path):
    (frame, *_) = VideoReader(written(tmp_path / "clip.mp4", size=(61, 83)), 100).frames()
    assert frame.shape == (60, 82, 3)


class Capture:
    """cv2.VideoCapture for a file that tells nonsense of itself."""

    def __init__(self, fps, count):
        self.values = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: count}
        self.values.update({cv2.CAP_PROP_FRAME_WIDTH: 80, cv2.CAP_PROP_FRAME_HEIGHT: 60})

    def isOpened(self):
        return True

    def get(self, name):
        return self.values[name]


@pytest.mark.parametrize(
    "fps, count, expected",
    [
        (0.0, 5.0, (USUAL_FPS, 5)),
        (float("nan"), 5.0, (USUAL_FPS, 5)),
        (float("inf"), 5.0, (USUAL_FPS, 5)),
        (90000.0, 5.0, (USUAL_FPS, 5)),
        (29.97, -9.2e18, (29.97, 0)),
    ],
)
def test_a_frame_rate_or_count_that_cannot_be_is_not_believed(monkeypatch, fps, count, expected):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(fps, count))
    reader = VideoReader("stream.avi", 100)
    assert (reader.fps, reader.declared) == expected


def test_a_folder_that_is_not_there_stops_the_writer(tmp_path):
    with pytest.raises(StageFailed, match="could not begin the video .*set detect.draw to false"):
        VideoWriter(str(tmp_path / "nowhere" / "clip.mp4"), 10.0, 60, 80)


@pytest.mark.parametrize("kept", [0, 1])
def test_frames_that_the_disk_did_not_keep_are_missed(tmp_path, monkeypatch, kept):
    """OpenCV writes on a full disk without a word; here another file stands where the video should be."""
    path = tmp_path / "clip.mp4"
    other = written(tmp_path / "other.mp4", count=1)
    writer = VideoWriter(str(path), 10.0, 60, 80)
    for index in range(3):
        writer.write(photo(60, 80, seed=index))
    release = writer._writer.release

    class Full:
        def release(self):
            release()
            os.replace(other, str(path)) if kept else path.write_bytes(b"")

    monkeypatch.setattr(writer, "_writer", Full())
    with pytest.raises(StageFailed, match="holds %d of 3 frames; make room" % kept):
        writer.close()


def test_an_opencv_before_3_3_is_named_no_backend(monkeypatch):
    asked = []
    monkeypatch.setattr(cv2, "VideoWriter", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(opencv, "TAKES_BACKEND", False)
    opencv.video_writer("a.mp4", cv2.CAP_FFMPEG, 5, 10.0, (80, 60))
    assert asked == [("a.mp4", 5, 10.0, (80, 60))]
