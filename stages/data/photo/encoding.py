"""A photo's picture as it goes into a record: encoded, or its own file, bit by bit, where that holds the picture."""

from stages import jpeg_scans, picture_header, pixels
from stages.data.photo import exif
from stages.data.photo.photo import Photo

# Bytes beside the picture, such as EXIF with a thumbnail, that may come along; a film behind a photo may not.
MOST_BESIDE = 1 << 16
READ_EVERYWHERE = frozenset(
    (0xC0, 0xC1, 0xC2)
)  # JPEG's frames of Huffman codes: libjpegs without arithmetic ones exist
SIMPLE_PNG = b"\x08\x02"  # bits and colour type: RGB of 8 bits
SEEN_OTHERWISE = frozenset((b"tRNS", b"acTL"))  # a transparent colour, and further frames
KEPT_OF_PNG = frozenset((b"IHDR", b"IDAT", b"IEND"))


def encoded(source: Photo, encoding: str, jpeg_quality: int) -> bytes:
    """The picture of ``source`` as ``encoding`` (jpeg or png), which is its file where that loses nothing.

    So it is if the photo has the size that is wanted already, and whoever decodes the file comes to the same picture:
    upright, in colours of 8 bits a channel without alpha, undamaged, with no more than 64 KiB of other data.
    """
    if source.format == encoding and _is_its_file(source):
        return source.data
    return pixels.encode_jpeg(source.picture, jpeg_quality) if encoding == "jpeg" else pixels.encode_png(source.picture)


def _is_its_file(source: Photo) -> bool:
    height, width = source.picture.shape[:2]
    as_stored = source.upright == (width, height) and source.orientation == exif.UPRIGHT and source.silent
    return as_stored and (_is_plain_jpeg if source.format == "jpeg" else _is_plain_png)(source.data)


def _is_plain_jpeg(data: bytes) -> bool:
    frames, beside = [], len(data)
    for code, start, end in jpeg_scans.segments(data):
        if code in picture_header.FRAME_HEADERS:
            frames.append((code, data[start + 4], data[start + 9]))  # with bits and components (T.81, B.2.2)
        if code == jpeg_scans.START_OF_SCAN or code in jpeg_scans.KEPT:
            beside -= end - start
    return len(frames) == 1 and frames[0] in {(code, 8, 3) for code in READ_EVERYWHERE} and beside <= MOST_BESIDE


def _is_plain_png(data: bytes) -> bool:
    lengths = [(name, 12 + length) for name, length, _ in picture_header.chunks(data)]
    beside = sum(length for name, length in lengths if name not in KEPT_OF_PNG)
    ends_there = 8 + sum(length for _, length in lengths) == len(data)
    plain = ends_there and beside <= MOST_BESIDE and data[24:26] == SIMPLE_PNG
    return plain and not any(name in SEEN_OTHERWISE for name, _ in lengths)
