"""The camera at the board's ribbon cable, by NVIDIA's GStreamer source."""

from typing import Any, List

import cv2

from stages.detect.opencv import has_gstreamer
from stages.detect.sources.camera import Camera
from stages.detect.sources.source import Tell
from stages.job import BadInput

# The picture stays in the video processor's memory (NVMM) until nvvidconv hands it over; only videoconvert, from four
# bytes a pixel to OpenCV's three, is the processor's work. appsink keeps the newest picture.
PIPELINE = (
    "nvarguscamerasrc sensor-id=%(sensor)d"
    " ! video/x-raw(memory:NVMM), width=(int)%(width)d, height=(int)%(height)d, format=(string)NV12,"
    " framerate=(fraction)%(fps)d/1"
    " ! nvvidconv ! video/x-raw, format=(string)BGRx"
    " ! videoconvert ! video/x-raw, format=(string)BGR"
    " ! appsink drop=true max-buffers=1 sync=false"
)


class CsiCamera(Camera):
    """The camera ``csi:<sensor>``.

    Raises:
        BadInput: this OpenCV has no GStreamer.
    """

    remedy = (
        "look at its ribbon cable, that no other program uses it, and `sudo systemctl restart nvargus-daemon`;"
        " other reasons are in the log"
    )

    def __init__(self, sensor: int, size: List[int], fps: int, tell: Tell) -> None:
        super().__init__("The camera csi:%d" % sensor, float(fps), tell)
        if not has_gstreamer():
            raise BadInput(
                "A CSI camera needs an OpenCV with GStreamer, which JetPack's own has and this one (%s) has not; run it"
                " with /usr/bin/python3 on the board, and remove opencv-python from it" % cv2.__version__
            )
        self.pipeline = PIPELINE % {"sensor": sensor, "height": size[0], "width": size[1], "fps": fps}

    def open(self) -> Any:
        capture = cv2.VideoCapture(self.pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise BadInput("%s cannot be opened" % self.title)
        return capture
