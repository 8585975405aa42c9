"""Records into TFRecord files, and the index that tells where each one is.

Which file of its split a picture is in hangs on its own place in the order of all (``pairing.place_of``): there is a
power of two of them, and each has an equal piece of the places. So a picture that is added, removed or changed changes
one file, as long as there are as many; their order is that of the places, so that records come mixed.
"""

import json
import os
import shutil
from typing import Any, BinaryIO, Dict, Optional

from stages.disk import writing

PLACES = 64  # bits of a place that count


def shards_for(pictures: int, most: int) -> int:
    """Of so many pictures: the least power of two of files that have at most ``most`` each on average; 0 of none."""
    return 1 << (-(-pictures // most) - 1).bit_length() if pictures else 0


class SplitWriter:
    """The files of train, validation or test, and their lines of the index, which are for the scratch folder first."""

    def __init__(self, name: str, output: str, scratch: str, shards: int) -> None:
        self.name, self._output = name, output
        self.shards = ["%s-%05d-of-%05d.tfrecord" % (name, number, shards) for number in range(shards)]
        self._begun = 0
        self._shard: Optional[BinaryIO] = None
        self._index_path = os.path.join(scratch, name + ".index")
        with writing(self._index_path):
            self._index = open(self._index_path, "wb")  # noqa: SIM115 - closed by finish

    def add(self, place: bytes, framed: bytes, facts: Dict[str, Any]) -> Dict[str, Any]:
        """Append a record, framed, and its line of the index; returns where it is: its shard, offset and length.

        ``place`` is ``pairing.place_of`` its photo, not before that of the record before.

        Raises:
            StageFailed: the disk does not take it.
        """
        number = int.from_bytes(place[: PLACES // 8], "big") * len(self.shards) >> PLACES
        with writing(self._output):
            self._begin(number + 1)
            assert self._shard is not None and self._begun == number + 1, "records out of order"
            at = {"shard": self.shards[number], "offset": self._shard.tell(), "length": len(framed)}
            self._shard.write(framed)
            self._index.write(json.dumps(dict(facts, split=self.name, **at), sort_keys=True).encode() + b"\n")
        return at

    def finish(self, index: BinaryIO) -> None:
        """Copy this split's lines to ``index``; a shard that has no record is an empty file.

        Raises:
            StageFailed: the disk does not take it.
        """
        with writing(self._output):
            self._begin(len(self.shards))
            if self._shard is not None:
                self._shard.close()
            self._index.close()
            with open(self._index_path, "rb") as lines:
                shutil.copyfileobj(lines, index)
            os.remove(self._index_path)

    def _begin(self, count: int) -> None:
        """Have so many of the files, the last of them open."""
        for name in self.shards[self._begun : count]:
            if self._shard is not None:
                self._shard.close()
            self._shard = open(os.path.join(self._output, name), "wb")  # noqa: SIM115 - closed by finish
            self._begun += 1
