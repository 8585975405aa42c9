"""From what the user calls a source to that source."""

import os
import re

from stages.detect import media
from stages.detect.sources.csi import CsiCamera
from stages.detect.sources.files import PictureSource, VideoSource
from stages.detect.sources.rtsp import RtspCamera, without_secrets
from stages.detect.sources.source import FrameSource, Tell
from stages.detect.sources.usb import UsbCamera, number_of
from stages.job import BadInput
from stages.parameters import LiveParameters


def source_of(parameters: LiveParameters, tell: Tell) -> FrameSource:
    """The source of these parameters; a camera is opened later.

    Args:
        tell: takes warnings.

    Raises:
        BadInput: there is no such source.
    """
    name = parameters.source
    if re.match("rtsps?://", name, re.IGNORECASE):
        return RtspCamera(name, tell)
    if name.startswith(("usb:", "/dev/")):
        return UsbCamera(number_of(name), parameters.size, parameters.fps, tell)
    if name.startswith("csi:"):
        if not re.match(r"csi:\d+$", name):
            raise BadInput("%s is no camera; name one as csi:0" % name)
        return CsiCamera(int(name[4:]), parameters.size, parameters.fps, tell)
    if "://" in name:
        raise BadInput("%s is no address of a camera; only rtsp://host/path is" % without_secrets(name))
    if not os.path.exists(name):
        raise BadInput(
            "There is no %s; name a picture, a folder of pictures, a video, usb:0, csi:0 or rtsp://host/path" % name
        )
    if os.path.isdir(name) or (os.path.isfile(name) and media.kind_of(name) == media.PICTURE):
        return PictureSource(name, tell)
    return VideoSource(name, tell)
