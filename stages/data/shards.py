"""Records into TFRecord files of a fixed number of pictures, and the index that tells where each one is."""

import json
import os
from typing import Any, BinaryIO, Dict, List, Optional, TextIO

from stages.disk import writing


class SplitWriter:
    """The files of train, validation or test. Their names tell how many they are, so they get them at the end."""

    def __init__(self, name: str, output: str, scratch: str, pictures_per_shard: int) -> None:
        self.name, self.output, self.pictures_per_shard = name, output, pictures_per_shard
        self.pictures = 0
        self._shard: Optional[BinaryIO] = None
        self._index_path = os.path.join(scratch, name + ".index")
        self._index = open(self._index_path, "w", encoding="utf-8")  # noqa: SIM115 - closed by finish

    def add(self, framed: bytes, facts: Dict[str, Any]) -> None:
        """Append a record, framed, and its line of the index.

        Raises:
            StageFailed: the disk does not take it.
        """
        number, place = divmod(self.pictures, self.pictures_per_shard)
        with writing(self._path(number)):
            if place == 0:
                self._start(self._path(number))
            assert self._shard is not None
            line = dict(facts, split=self.name, shard=number, offset=self._shard.tell(), length=len(framed))
            self._shard.write(framed)
            self._index.write(json.dumps(line, sort_keys=True) + "\n")
        self.pictures += 1

    def finish(self, index: TextIO) -> List[str]:
        """Give the files their names, copy this split's lines to ``index``; returns the names.

        Raises:
            StageFailed: the disk does not take it.
        """
        with writing(self.output):
            self._end()
            self._index.close()
            count = self._shards()
            names = ["%s-%05d-of-%05d.tfrecord" % (self.name, number, count) for number in range(count)]
            for number, name in enumerate(names):
                os.rename(self._path(number), os.path.join(self.output, name))
            with open(self._index_path, encoding="utf-8") as lines:
                for facts in map(json.loads, lines):
                    index.write(json.dumps(dict(facts, shard=names[facts["shard"]]), sort_keys=True) + "\n")
            os.remove(self._index_path)
        return names

    def _shards(self) -> int:
        return -(-self.pictures // self.pictures_per_shard)

    def _path(self, number: int) -> str:
        return os.path.join(self.output, "%s-%05d.part" % (self.name, number))

    def _start(self, path: str) -> None:
        self._end()
        self._shard = open(path, "wb")  # noqa: SIM115 - closed by _end

    def _end(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None
