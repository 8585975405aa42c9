"""Text of a file in protobuf's text format as people's editors save it: which encoding, and where it is not text."""

import os

from stages import files
from stages.job import BadInput
from stages.text_encoding import decoded


def read(path: str, kind: str, most: int) -> str:
    """The text of a file, its line ends all newlines; bytes that are no text are lone surrogates in it.

    Args:
        kind: what the file ought to be, as people call it.
        most: bytes that such a file may have.

    Raises:
        BadInput: there is no such file, or it is empty or no text at all.
    """
    try:
        data = files.read(path, most)
    except OSError as error:
        raise BadInput("There is no %s at %s: %s" % (kind, path, error.strerror)) from None
    if not data.strip():
        raise BadInput("%s is empty: a %s is wanted" % (os.path.basename(path), kind))
    text = decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise BadInput(
            "%s is not a %s but a binary file, as frozen graphs and checkpoints are" % (os.path.basename(path), kind)
        )
    if not text.strip():
        raise BadInput("%s is empty: a %s is wanted" % (os.path.basename(path), kind))
    return text
