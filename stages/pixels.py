"""The one way from a file to pixels, for training and detection alike.

TensorFlow's old bilinear, OpenCV's and Pillow's differ by up to 9 grey levels, and by aliasing; JPEG decoders differ too.
So records, previews, parity and detection all come through here. Needs OpenCV and numpy, Python 3.6 to current.
"""
import cv2
import numpy as np

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def decode(data: bytes) -> np.ndarray:
    """The picture in ``data`` (JPEG, PNG, BMP or WebP): uint8 RGB [height, width, 3], upright as its EXIF orientation says.

    Raises:
        ValueError: the bytes are no picture that OpenCV can read.
    """
    if not data:
        raise ValueError("the file is empty")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("the file is no readable JPEG, PNG, BMP or WebP picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """``picture`` (uint8 [H, W, 3]) stretched to [height, width, 3]: area averaging down, bilinear up."""
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height <= picture.shape[0] and width <= picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def encode_jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    """``picture`` (uint8 RGB [H, W, 3]) as JPEG; ``quality`` 1 to 100."""
    return _encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(picture: np.ndarray) -> bytes:
    """``picture`` (uint8 RGB [H, W, 3]) as PNG, without loss."""
    return _encode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _encode(suffix: str, picture: np.ndarray, options: list) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("OpenCV could not encode a picture of shape %s" % (picture.shape,))
    return data.tobytes()
