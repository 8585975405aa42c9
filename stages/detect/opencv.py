"""What this machine's OpenCV was built with: JetPack's has GStreamer and windows, those of PyPI have not."""

import re
from typing import Any, Tuple

import cv2

TAKES_BACKEND = tuple(map(int, re.findall(r"\d+", cv2.__version__)[:2])) >= (3, 3)


def video_writer(target: str, backend: int, fourcc: int, fps: float, size: Tuple[int, int]) -> Any:
    """A cv2.VideoWriter; Ubuntu's OpenCV 3.2, which L4T 32.2's image has, finds the backend by itself."""
    backends = [backend] if TAKES_BACKEND else []
    return cv2.VideoWriter(target, *backends, fourcc, fps, size)


def has_gstreamer() -> bool:
    return _says(r"GStreamer:\s+(base:\s+)?YES")  # OpenCV 3 lists its parts


def has_ffmpeg() -> bool:
    return _says(r"FFMPEG:\s+YES")


def has_windows() -> bool:
    return not _says(r"GUI:\s+NONE")


def _says(pattern: str) -> bool:
    return re.search(pattern, cv2.getBuildInformation()) is not None
