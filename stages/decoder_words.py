"""What the decoders of pictures say: they write it to the process' standard error, and no call returns it.

Standard library only, Python 3.6 to current.
"""

import os
import re
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Iterator, List, Optional

STDERR = 2
MOST_BYTES = 1 << 16  # of what is said of one picture
# libjpeg's and libjpeg-turbo's warnings (jerror.h) that mean that a part of the picture is not what was taken:
# JWRN_HIT_MARKER, _JPEG_EOF, _HUFF_BAD_CODE, _ARITH_BAD_CODE, _MUST_RESYNC and _BOGUS_PROGRESSION.
MISSING = re.compile(
    "premature end of data segment|Premature end of JPEG file|bad Huffman code|bad arithmetic code"
    r"|found marker 0x\w+ instead of RST\d|Inconsistent progression sequence"
)
# JWRN_EXTRANEOUS_DATA: bytes that no pixel was made of. In trials with single flipped bits, they were 11 at least.
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(\w+)")
PADDING = 8
# Of no harm to the pixels: JWRN_JFIF_MAJOR, _ADOBE_XFORM, _NOT_SEQUENTIAL, _BOGUS_ICC and _TOO_MUCH_DATA. And all
# warnings of libpng (libpng-manual.txt, "Error handling"): where pixels are missing, it gives up with an error.
HARMLESS = re.compile(
    "unknown JFIF revision number|Unknown Adobe color transform|Invalid SOS parameters for sequential JPEG"
    "|bad ICC marker|Application transferred too many scanlines|^libpng warning: "
)
# Of a picture that is given up.
GIVEN_UP = re.compile(
    r"^libpng error: (.*)|^imdecode_\(|^\[ *(WARN|ERROR).*(grfmt|imdecode_)|^OpenCV TIFF"
    r"|^(TIFF|ZIP|LZW|JPEG|PackBits|Fax)\w*: "
)

_turn = threading.Lock()


class Words:
    """What was said while :func:`captured` lasted (known when it is over), line by line, without what others wrote."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def missing(self) -> Optional[str]:
        """The line that says that data is missing, if there is one."""
        return next((line for line in self.lines if MISSING.search(line)), None)

    def left_over(self, scans: bytes) -> Optional[str]:
        """The line that says that pixels were made of too little of ``scans``, the data of a JPEG without its end.

        Where its bits are damaged, the decoder is done too early, with a picture that is wrong from there on. A
        few bytes, or many that are alike, are padding that some cameras write.
        """
        for line in self.lines:
            found = EXTRANEOUS.search(line)
            count = int(found.group(1)) if found else 0
            alike = found and int(found.group(2), 16) == 0xD9 and len(set(scans[-count:])) == 1
            if count > PADDING and not alike:
                return line
        return None

    def why_not(self) -> str:
        """Why libpng gave the picture up, empty where nobody says it."""
        return next((found.group(1) for found in map(GIVEN_UP.search, self.lines) if found and found.group(1)), "")


@contextmanager
def captured() -> Iterator[Words]:
    """What decoders say inside; one thread at a time.

    What others write meanwhile, or nobody here knows, is passed on to standard error afterwards. If the process is
    killed inside, what was written inside is lost.
    """
    words = Words()
    with _turn, ExitStack() as stack:
        try:
            to = os.dup(STDERR)
            stack.callback(os.close, to)
            paper = stack.enter_context(_paper())
            os.dup2(paper.fileno(), STDERR)
        except OSError:  # no standard error, or no room: nobody is heard
            yield words
            return
        try:
            yield words
        finally:
            os.dup2(to, STDERR)
            _sort(paper, words, to)


def _paper() -> BinaryIO:
    """A file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("said"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _sort(paper: BinaryIO, words: Words, to: int) -> None:
    """The decoders' lines to ``words``, all others to the file descriptor ``to``."""
    paper.seek(0)
    said = paper.read(MOST_BYTES)
    others = []
    for line in said.splitlines(True):
        text = line.decode("utf-8", "replace").strip()
        known = any(pattern.search(text) for pattern in (MISSING, EXTRANEOUS, HARMLESS, GIVEN_UP))
        words.lines.append(text) if known else others.append(line)
    rest = b"".join(others).strip(b"\n") and b"".join(others)
    while rest:
        os.write(to, rest)
        rest = paper.read(MOST_BYTES)
