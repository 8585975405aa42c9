"""What XML files say, each read once: in a file of the scratch folder, since all of it would be too much for memory."""

import os
import pickle
from array import array
from contextlib import suppress
from typing import Any, Dict, Optional

from stages import disk
from stages.data.annotation.voc import Said
from stages.data.pairing.pairing import Folders, XmlFile


def packed(xml: XmlFile) -> bytes:
    """As it goes into the spool, and from process to process."""
    return pickle.dumps(xml, pickle.HIGHEST_PROTOCOL)


def unpacked(data: bytes) -> XmlFile:
    """What went into ``packed``, by a process of this stage."""
    xml: XmlFile = pickle.loads(data)
    return xml


class AnnotationSpool:
    """Memory grows by the place of each file. The file is removed in the end, whatever ends the work."""

    def __init__(self, scratch: str, folders: Folders, boxes: str) -> None:
        """``boxes`` is what the four numbers of a box are (``dataset.boxes``)."""
        self._path = os.path.join(scratch, "annotations.spool")
        self._folders, self._boxes = folders, boxes
        self._numbers: Dict[str, int] = {}
        self._ends = array("Q", [0])

    def __enter__(self) -> "AnnotationSpool":
        with disk.writing(self._path):
            self._stream = open(self._path, "w+b")  # noqa: SIM115 - closed by __exit__
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(OSError):
            self._stream.close()  # which may have bytes left that a full disk does not take
        os.remove(self._path)

    def said(self, name: str) -> Said:
        """What an XML file says, read now if it has not been read before.

        Raises:
            StageFailed: the disk does not take it.
        """
        data = self.get(name)
        if data is None:
            data = packed(self._folders.read(name, self._boxes))
            self.add(name, data)
        return unpacked(data).said

    def get(self, name: str) -> Optional[bytes]:
        """An XML file as it was added, None if it was not."""
        number = self._numbers.get(name)
        if number is None:
            return None
        with disk.writing(self._path):
            self._stream.flush()
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._stream.fileno(), end - start, start)

    def add(self, name: str, data: bytes) -> None:
        """Keep an XML file, ``packed``.

        Raises:
            StageFailed: the disk does not take it.
        """
        with disk.writing(self._path):
            self._stream.write(data)
        self._numbers[name] = len(self._ends) - 1
        self._ends.append(self._ends[-1] + len(data))
