"""The records of all pictures: made in chunks, in several processes, or taken from where they have been made before."""

from collections import deque
from functools import partial
from typing import Deque, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from stages.data import spool
from stages.data.annotation_spool import AnnotationSpool, unpacked
from stages.data.made import Earlier
from stages.data.pairing.pairing import Pair
from stages.data.picture_record import PictureRecord, ReadPair, RecordSettings, make
from stages.data.spool import Spool
from stages.workers import Pool

MOST_MADE, MOST_TAKEN = 16, 64  # pictures of a chunk
CHUNK_BYTES = 2 << 20  # of the records of a chunk, about
JPEG_SHARE = 4  # by how much a JPEG is smaller than its pixels, at least in nearly all

MakingTask = List[Tuple[Pair, Optional[bytes]]]
"""Pairs with their XML, packed, None without one."""
TakenFrom = Union[None, int, PictureRecord]
"""Where a picture's record is: still to be made, left by an interrupted run, or in the earlier artifact."""


class MakingChunk(NamedTuple):
    """Consecutive pictures: where each one's record is, and the task to make those that are to be made."""

    taken: List[TakenFrom]
    task: MakingTask


class MadeFrom(NamedTuple):
    """Where pictures come from: the XML that was read, and what has been made before."""

    annotations: AnnotationSpool
    earlier: Earlier


def made(
    settings: RecordSettings, items: Iterable[Tuple[Pair, str]], source: MadeFrom, into: Spool, pool: Pool
) -> Iterator[PictureRecord]:
    """What was made of every picture, in order, once it is in the spool; ``items`` have their keys, empty if unknown.

    Raises:
        BadInput: a finding whose policy is to fail.
        StageFailed: the disk does not take it, or a process was killed.
    """
    under_way: Deque[MakingChunk] = deque()

    def tasks() -> Iterator[MakingTask]:
        for chunk in _chunks(items, source, into, _pictures_at_once(settings)):
            under_way.append(chunk)
            yield chunk.task

    for results in pool.in_order(partial(_made, settings), tasks()):
        fresh = iter(results)
        for taken in under_way.popleft().taken:
            if taken is None:
                yield into.add(next(fresh))
            else:
                yield into.take(taken) if isinstance(taken, int) else into.copy(taken)


def _made(settings: RecordSettings, task: MakingTask) -> List[bytes]:
    """In a process: the pictures of a task, packed for the spool."""
    pictures = (ReadPair(pair, unpacked(xml) if xml else None) for pair, xml in task)
    return [spool.packed(*make(settings, picture)) for picture in pictures]


def _pictures_at_once(settings: RecordSettings) -> int:
    height, width = settings.image_size
    size = 3 * height * width // (JPEG_SHARE if settings.encoding == "jpeg" else 1)
    return max(1, min(MOST_MADE, CHUNK_BYTES // size))


def _chunks(items: Iterable[Tuple[Pair, str]], source: MadeFrom, into: Spool, most: int) -> Iterator[MakingChunk]:
    chunk = MakingChunk([], [])
    for pair, key in items:
        taken: TakenFrom = into.find(key) if key else None
        if taken is None and key:
            taken = source.earlier.find(key)
        chunk.taken.append(taken)
        if taken is None:
            chunk.task.append((pair, source.annotations.get(pair.xml) if pair.xml else None))
        if len(chunk.task) == most or len(chunk.taken) == MOST_TAKEN:
            yield chunk
            chunk = MakingChunk([], [])
    if chunk.taken:
        yield chunk
