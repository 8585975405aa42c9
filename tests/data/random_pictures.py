"""Pictures that are told apart by pixels and by hashes, in every format that people have: for the random datasets."""

import io
from random import Random
from typing import Callable, Dict, NamedTuple, Tuple

import cv2
import numpy as np
from PIL import Image

Size = Tuple[int, int]
ORIENTATION = 0x0112  # EXIF 2.32
TURNED_SIZES = (5, 6, 7, 8)
JPEG, PNG, BMP, WEBP, TIFF = ".jpg", ".png", ".bmp", ".webp", ".tif"
OFTEN = (JPEG, JPEG, JPEG, JPEG, PNG, BMP, WEBP, TIFF)
SUFFIXES = {
    JPEG: (".jpg", ".jpg", ".jpg", ".JPG", ".jpeg", ".jpe", ".jfif", ".Jpg"),
    PNG: (".png", ".PNG"),
    BMP: (".bmp",),
    WEBP: (".webp",),
    TIFF: (".tif", ".tiff"),
}


def picture(seed: int, size: Size) -> np.ndarray:
    """Upright pixels, uint8 RGB [height, width, 3]: clouds from black to white, others for each seed."""
    width, height = size
    noise = np.random.RandomState(seed).randint(0, 256, (5, 5, 3)).astype(np.uint8)
    clouds = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    lowest, highest = clouds.min(), clouds.max()
    return ((clouds - lowest) * 255 / (highest - lowest)).round().astype(np.uint8)


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels as a camera stores them whose EXIF says ``orientation``."""
    turn: Dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(turn[orientation](upright))


def stored_place(size: Size, orientation: int) -> Callable[[float, float], Tuple[float, float]]:
    """From a point of the upright picture of ``size`` (width, height) to the stored one."""
    w, h = size
    places: Dict[int, Callable[[float, float], Tuple[float, float]]] = {
        1: lambda x, y: (x, y),
        2: lambda x, y: (w - x, y),
        3: lambda x, y: (w - x, h - y),
        4: lambda x, y: (x, h - y),
        5: lambda x, y: (y, x),
        6: lambda x, y: (y, w - x),
        7: lambda x, y: (h - y, w - x),
        8: lambda x, y: (h - y, x),
    }
    return places[orientation]


class Kept(NamedTuple):
    """How a picture lies in its file."""

    format: str
    orientation: int


def encoded(upright: np.ndarray, kept: Kept, quality: int = 95) -> bytes:
    """The file of a picture."""
    pixels = Image.fromarray(stored(upright, kept.orientation))
    exif = Image.Exif()
    exif[ORIENTATION] = kept.orientation
    more = {"exif": exif} if kept.orientation != 1 else {}
    if kept.format == JPEG:
        more.update(quality=quality, subsampling=0)
    if kept.format == WEBP:
        more.update(quality=98)
    name = {JPEG: "JPEG", PNG: "PNG", BMP: "BMP", WEBP: "WEBP", TIFF: "TIFF"}[kept.format]
    stream = io.BytesIO()
    pixels.save(stream, name, **more)
    return stream.getvalue()


def special(upright: np.ndarray, kind: str) -> Tuple[bytes, str, np.ndarray]:
    """A picture as few programs write it (``SPECIAL``): its file, a suffix, and the pixels that must be seen."""
    picture = Image.fromarray(upright)
    stream, other = io.BytesIO(), Image.fromarray(255 - upright)
    if kind in ("grey jpg", "grey png", "grey tif"):
        picture = picture.convert("L")
    elif kind == "alpha png":
        picture.putalpha(255)
    elif kind == "palette png":
        picture = picture.quantize(64)
    elif kind == "bits png":
        picture = picture.convert("1", dither=Image.Dither.NONE)
    more: Dict[str, object] = {
        "progressive jpg": {"progressive": True, "quality": 95, "subsampling": 0},
        "lossless webp": {"lossless": True},
        "lzw tif": {"compression": "tiff_lzw"},
        "deflate tif": {"compression": "tiff_adobe_deflate"},
        "pages tif": {"save_all": True, "append_images": [other]},
        "film png": {"save_all": True, "append_images": [other]},
    }.get(kind, {})
    suffix = "." + kind.split()[1]
    name = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}[suffix]
    picture.save(stream, name, **({"quality": 95} if kind == "grey jpg" else more))
    return stream.getvalue(), suffix, np.asarray(picture.convert("RGB"))


SPECIAL = (
    "grey jpg", "progressive jpg", "grey png", "alpha png", "palette png", "bits png", "film png", "lossless webp",
    "grey tif", "lzw tif", "deflate tif", "pages tif",
)  # fmt: skip
SEVERAL = ("film png", "pages tif")


def deep_png(upright: np.ndarray, bits: int) -> bytes:
    """A PNG of 16 bits a channel, of which an industrial camera fills ``bits``."""
    deep = (upright.astype(np.float64) * (2**bits - 1) / 255).round().astype(np.uint16)
    done, data = cv2.imencode(".png", deep[:, :, ::-1])
    assert done
    return data.tobytes()


def gif(upright: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(upright).save(stream, "GIF")
    return stream.getvalue()


def without_middle(upright: np.ndarray, rng: Random) -> bytes:
    """A JPEG whose scan lacks its second half, with an end nevertheless: what a broken copy that was "repaired" has."""
    data = encoded(upright, Kept(JPEG, 1))
    scan = data.rindex(b"\xff\xda")
    keep = scan + int((len(data) - scan) * rng.uniform(0.3, 0.6))
    return data[:keep].rstrip(b"\xff") + b"\xff\xd9"


def cut_off(upright: np.ndarray, rng: Random) -> bytes:
    """A file that ends too early, or is empty."""
    data = encoded(upright, Kept(rng.choice((JPEG, PNG)), 1))
    return data[: rng.choice((0, 10, len(data) // 2))]
