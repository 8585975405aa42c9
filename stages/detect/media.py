"""What a file that the user names as media is: a picture or a video, by its first bytes and then by its name."""

import os

from stages import files, picture_header, unread_formats
from stages.job import BadInput

PICTURE, VIDEO = "picture", "video"
HEAD = 512  # bytes that are enough to tell
PACKET, SYNC = 188, b"\x47"  # of an MPEG transport stream (ITU-T H.222.0, 2.4.3)
# Of containers and streams, where in the file which bytes stand.
SIGNATURES = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska and WebM
    (8, b"AVI "),
    (0, b"\0\0\1\xba"),  # MPEG
    (0, b"\0\0\1\xb3"),
    (0, b"FLV\1"),
    (0, b"OggS"),
    (0, b"\x30\x26\xb2\x75"),  # ASF
    (0, b"YUV4MPEG2"),
)
# What is tried as a video whatever its bytes, because it may be a stream without a header, or of single pictures.
VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".3gp",
    ".avi",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".vob",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
) + (".flv", ".ogv", ".mjpg", ".mjpeg", ".h264", ".264", ".h265", ".265", ".hevc", ".y4m")


def kind_of(path: str) -> str:
    """``picture`` or ``video``.

    Raises:
        BadInput: it is neither, or a picture in a format that is not read, or cannot be read.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in files.PICTURE_SUFFIXES:
        return PICTURE
    try:
        with files.opened(path) as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise BadInput("%s cannot be read: %s" % (path, error.strerror)) from error
    unread = unread_formats.unread_format(head)
    if suffix in files.UNREAD_SUFFIXES or unread not in (None, unread_formats.FILM):
        raise BadInput("%s is %s, which is not read; %s" % (path, unread or "a %s file" % suffix, files.UNREAD_REMEDY))
    packets = head[:1] == head[PACKET : PACKET + 1] == SYNC
    if packets or any(head[place:].startswith(start) for place, start in SIGNATURES):
        return VIDEO
    what = unread_formats.stranger(head)
    if suffix in VIDEO_SUFFIXES and not what:
        return VIDEO
    if picture_header.format_of(head):
        return PICTURE
    raise BadInput(
        "%s is neither a picture nor a video that can be read%s; name a picture, a folder of pictures or a video"
        % (path, " but %s" % what if what else "")
    )
