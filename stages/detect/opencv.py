"""What this machine's OpenCV was built with: JetPack's has GStreamer and windows, those of PyPI have not."""

import re

import cv2


def has_gstreamer() -> bool:
    return _says(r"GStreamer:\s+(base:\s+)?YES")  # OpenCV 3 lists its parts


def has_ffmpeg() -> bool:
    return _says(r"FFMPEG:\s+YES")


def has_windows() -> bool:
    return not _says(r"GUI:\s+NONE")


def _says(pattern: str) -> bool:
    return re.search(pattern, cv2.getBuildInformation()) is not None
