"""Records into TFRecord files of a fixed number of pictures, and the index that tells where each one is."""
import json
import os
from typing import Any, BinaryIO, Dict, List, Optional, TextIO

from stages.job import StageFailed


class Split:
    """The files of one split, train or validation. Their names tell how many they are, so they get them at the end."""

    def __init__(self, name: str, output: str, scratch: str, pictures_per_shard: int) -> None:
        self.name, self.output, self.pictures_per_shard = name, output, pictures_per_shard
        self.pictures = self.boxes = 0
        self._shard = None  # type: Optional[BinaryIO]
        self._index_path = os.path.join(scratch, name + ".index")
        self._index = open(self._index_path, "w", encoding="utf-8")  # noqa: SIM115 - closed by finish

    def add(self, frame: bytes, facts: Dict[str, Any]) -> None:
        """Append a record.

        Raises:
            StageFailed: the disk does not take it.
        """
        number, place = divmod(self.pictures, self.pictures_per_shard)
        path = self._path(number)
        try:
            if place == 0:
                self._start(path)
            assert self._shard is not None
            line = dict(facts, split=self.name, shard=number, offset=self._shard.tell(), length=len(frame))
            self._shard.write(frame)
            self._index.write(json.dumps(line, sort_keys=True) + "\n")
        except OSError as error:
            raise _not_written(path, error) from error
        self.pictures += 1
        self.boxes += len(facts["boxes"])

    def finish(self, index: TextIO) -> List[str]:
        """Give the files their names, copy this split's lines to ``index``; returns the names.

        Raises:
            StageFailed: the disk does not take it.
        """
        try:
            self._end()
            self._index.close()
            count = -(-self.pictures // self.pictures_per_shard)
            names = ["%s-%05d-of-%05d.tfrecord" % (self.name, number, count) for number in range(count)]
            for number, name in enumerate(names):
                os.rename(self._path(number), os.path.join(self.output, name))
            with open(self._index_path, encoding="utf-8") as lines:
                for line in lines:
                    facts = json.loads(line)
                    index.write(json.dumps(dict(facts, shard=names[facts["shard"]]), sort_keys=True) + "\n")
        except OSError as error:
            raise _not_written(self.output, error) from error
        return names

    def discard(self) -> None:
        """Remove what was written, as for a split that has to be made anew."""
        self._end()
        self._index.close()
        for number in range(-(-self.pictures // self.pictures_per_shard)):
            os.remove(self._path(number))

    def _path(self, number: int) -> str:
        return os.path.join(self.output, "%s-%05d.part" % (self.name, number))

    def _start(self, path: str) -> None:
        self._end()
        self._shard = open(path, "wb")  # noqa: SIM115 - closed by _end

    def _end(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


def _not_written(path: str, error: OSError) -> StageFailed:
    return StageFailed("The records cannot be written to %s: %s. Free some space, or set records.folder to a folder on "
                       "another disk." % (path, error.strerror or error))
