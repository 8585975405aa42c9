"""From paths to sources: what a file or folder holds decides how it is shown."""

import os
import re
from typing import List, Sequence

from stages import files, record_index
from stages.data.tfrecord import HEAD, masked_crc
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES
from stages.job import BadInput
from stages.view.sources import stored_bytes
from stages.view.sources.records import SUMMARY, RecordsSource
from stages.view.sources.source import ViewSource
from stages.view.sources.tfrecords import TFRecordSource
from stages.view.sources.voc import VocSource

# Files that are no TFRecords, whatever their first bytes are.
OTHERS = (
    *PICTURE_SUFFIXES,
    *UNREAD_SUFFIXES,
    ".xml",
    ".txt",
    ".json",
    ".jsonl",
    ".pbtxt",
    ".csv",
    ".zip",
    ".pb",
    ".py",
)
# What TFRecords are called, which they do not need to be.
CALLED = re.compile(r"\.(tf)?records?(-\d+-of-\d+)?(\.gz)?$")


def sources(paths: Sequence[str], title: str) -> List[ViewSource]:
    """The sources that paths make, which were named together: all files one, and of each folder what is in it.

    Raises:
        BadInput: there is nothing of the kind.
    """
    loose = [path for path in paths if os.path.isfile(path)]
    found: List[ViewSource] = [TFRecordSource(_checked(loose), title)] if loose else []
    for path in paths:
        if path not in loose:
            found.extend(_of_folder(path, title))
    return found


def _of_folder(folder: str, title: str) -> List[ViewSource]:
    try:
        if all(os.path.isfile(os.path.join(folder, name)) for name in (SUMMARY, record_index.FILE)):
            return [RecordsSource(folder, title)]
        names = [one.path for one in files.walk(folder).files]
    except OSError as error:
        raise BadInput("%s cannot be read: %s." % (files.readable(folder), error.strerror or error)) from error
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            "%s is damaged (%s): make the records again." % (os.path.join(folder, SUMMARY), error)
        ) from error
    records = [os.path.join(folder, name) for name in names if not name.lower().endswith(OTHERS)]
    records = [path for path in records if _is_tfrecord(path)]
    found: List[ViewSource] = [TFRecordSource(records, title)] if records else []
    if any(name.lower().endswith(".xml") for name in names) and any(
        name.lower().endswith(PICTURE_SUFFIXES) for name in names
    ):
        found.append(VocSource(folder, title))
    if not found:
        raise BadInput(
            "%s holds neither TFRecords nor photos with VOC XML: name a folder or files that are such."
            % files.readable(folder)
        )
    return found


def _checked(paths: Sequence[str]) -> Sequence[str]:
    """The paths, of which each is a TFRecord file; some may be empty, as those who write many shards leave them.

    Raises:
        BadInput: one is something else, or all are empty.
    """
    try:
        heads = [_head(path) for path in paths]
    except OSError as error:
        path = files.readable(os.fsdecode(error.filename or ""))
        raise BadInput("%s cannot be read: %s." % (path, error.strerror or error)) from error
    for path, head in zip(paths, heads):
        if head and not _is_head(head):
            raise BadInput("%s is not a TFRecord file: it begins otherwise." % files.readable(path))
    if not any(heads):
        raise BadInput("There is no record in %s: it is empty." % ", nor in ".join(map(files.readable, paths[:3])))
    return paths


def _is_tfrecord(path: str) -> bool:
    """Whether a file begins as a TFRecord does, compressed or not; or is called so, so that its damage is told."""
    try:
        return _is_head(_head(path)) or bool(CALLED.search(path))
    except OSError:
        return bool(CALLED.search(path))


def _head(path: str) -> bytes:
    """What would be the first frame's head; of a compressed file that is damaged there, something else."""
    stored = stored_bytes.opened(path)
    try:
        return stored.read(0, HEAD)
    except ValueError:
        return b"?"
    finally:
        stored.close()


def _is_head(head: bytes) -> bool:
    return len(head) == HEAD and head[8:] == masked_crc(head[:8])
