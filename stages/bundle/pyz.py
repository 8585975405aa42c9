"""``detector.pyz``: the programs of the board and the model, in one file that Python runs.

The same files give the same bytes anywhere: sorted, of one time, and stored as they are, since weights and PNG hardly
shrink and compression differs between versions of zlib.
"""

import os
import stat
import zipfile
from typing import Dict, Iterator, Tuple

from stages import start
from stages.bundle import code
from stages.jetson import archive_main, board_command

SHEBANG = b"#!/usr/bin/env python3\n"
FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can hold
ENTRIES = (board_command.__name__, start.__name__)


def write(path: str, model: Dict[str, str]) -> None:
    """Write the archive.

    Args:
        model: path of each file by its name in the folder ``model``.
    """
    with open(path, "wb") as stream:
        stream.write(SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, file in sorted(_contents(model)):
                with open(file, "rb") as source:
                    archive.writestr(_entry(name), source.read())
    os.chmod(path, 0o755)


def _contents(model: Dict[str, str]) -> Iterator[Tuple[str, str]]:
    yield "__main__.py", os.path.abspath(archive_main.__file__)
    yield from code.needed(ENTRIES).items()
    for name, file in model.items():
        yield "model/" + name, file


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, FIRST_TIME)
    entry.create_system = 3  # Unix, whatever this is: the mode below is one of its
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry
