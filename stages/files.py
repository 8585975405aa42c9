"""Which files of a folder count: one rule for the host, which digests and sends them, and the stages, which read them.

Links are followed, and every folder counts once, so that no link leads in circles. Hidden names do not count. What is
neither a file nor a folder is never opened; it is left out and told, as is a link that leads nowhere. A folder that
cannot be read is an error: what is in it may be half of the dataset.

Standard library only, Python 3.6: this file is in every environment, and the host imports it.
"""

import errno
import heapq
import os
import re
import stat
from typing import BinaryIO, Callable, Dict, Generic, List, NamedTuple, Optional, Tuple, TypeVar

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff")
# Pictures that are not read. They count as files of a dataset all the same, so that they can be named wherever it runs;
# but a camera's raw files are large, lie beside its JPEGs, and are not sent anywhere for the sake of their names.
SENT_UNREAD_SUFFIXES = (".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg") + (
    ".ppm",
    ".pgm",
    ".tga",
    ".exr",
    ".hdr",
)
RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
UNREAD_SUFFIXES = SENT_UNREAD_SUFFIXES + RAW_SUFFIXES
UNREAD_REMEDY = "convert them to JPEG or PNG, for instance with ImageMagick's `mogrify -format jpg`"
# What macOS adds to a .zip (no pixels under the pictures' own names), and what file systems keep for repairs.
NOT_OURS = ("__MACOSX", "lost+found")
# In a project's build folder, which may lie among the photos: what was built of them is none of them.
BUILT = ".nanoforge-build"
KINDS = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"))
# Of an artifact of records: how it came to be, for the stage's own next run. No later stage reads it, so that it makes
# none stale.
MADE = "made.jsonl"
Row = TypeVar("Row")


class FileStat(NamedTuple):
    """One file as a walk sees it: path relative to the root with ``/``, bytes, nanoseconds twice, inode."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class LeftOut(NamedTuple):
    """What does not count although it is not hidden: its path relative to the root, and why."""

    path: str
    reason: str


class Found(NamedTuple):
    """What a walk found, each sorted; ``links`` are the paths of links that were followed."""

    files: List[FileStat]
    left_out: List[LeftOut]
    links: List[str]


def walk(root: str) -> Found:
    """The files that count at or below ``root``; of a file, that file.

    Raises:
        OSError: ``root`` is not there or neither a file nor a folder, or a folder cannot be read.
    """
    done = _Walk(root, _file_stat)
    return Found(sorted(done.files), sorted(done.left_out), sorted(done.links))


def rows(root: str, row: Callable[[str, os.stat_result], Row]) -> List[Row]:
    """What ``row`` makes of each file that :func:`walk` finds, of its path and status; in no order.

    For folders of a million files, where a :class:`FileStat` of each would take most of the time and the memory.

    Raises:
        OSError: as :func:`walk`.
    """
    return _Walk(root, row).files


def left_out_below(root: str) -> List[LeftOut]:
    """What :func:`walk` finds that does not count, sorted.

    Raises:
        OSError: as :func:`walk`.
    """
    return sorted(_Walk(root, lambda _path, _seen: None).left_out)


def names_below(folder: str, suffixes: Tuple[str, ...]) -> List[str]:
    """The relative paths of the files that count below ``folder`` and end so, in capitals or not."""
    return [one.path for one in walk(folder).files if one.path.lower().endswith(suffixes)]


def unread_words(names: List[str]) -> str:
    """What to say of these pictures in formats that are not read: how many of which, the first, and the remedy."""
    return "%s: these formats are not read; %s" % (counted_words(names), UNREAD_REMEDY)


def counted_words(names: List[str]) -> str:
    """Such as ``3 .gif, 1 .heic, the first a.gif``."""
    suffixes = [os.path.splitext(name)[1].lower() for name in names]
    counted = ", ".join("%d %s" % (suffixes.count(one), one) for one in sorted(set(suffixes)))
    return "%s, the first %s" % (counted, names[0])


def opened(path: str) -> BinaryIO:
    """The file, opened to be read; nothing else is: a named pipe would wait for ever, a device never end.

    Raises:
        OSError: it is no file, or cannot be read.
    """
    seen = os.stat(path)
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(errno.EINVAL, "it is %s, not a file" % _kind(seen), path)
    return open(path, "rb")


def read(path: str, most: Optional[int] = None) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it is no file, has more than ``most`` bytes, or cannot be read.
    """
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if most is not None and size > most:
            raise OSError(errno.EFBIG, "it has %d bytes, more than the %d it may have" % (size, most), path)
        return stream.read()


def readable(name: str) -> str:
    r"""A name or sentence for people: bytes that are not UTF-8, which Python keeps as lone surrogates, as ``\xff``."""
    return re.sub("[\ud800-\udfff]", _escape, name)


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return "\\x%02x" % (code - 0xDC00) if 0xDC80 <= code <= 0xDCFF else "\\u%04x" % code


def _kind(seen: os.stat_result) -> str:
    if stat.S_ISDIR(seen.st_mode):
        return "a folder"
    return next((word for is_kind, word in KINDS if is_kind(seen.st_mode)), "a device")


def _file_stat(path: str, seen: os.stat_result) -> FileStat:
    return FileStat(path, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)


class _Walk(Generic[Row]):
    """Real folders first, links to folders after them by name: so what counts does not hang on a disk's order."""

    def __init__(self, root: str, row: Callable[[str, os.stat_result], Row]) -> None:
        self._root = root
        self._row = row
        self.files: List[Row] = []
        self.left_out: List[LeftOut] = []
        self.links: List[str] = []
        self._linked_folders: List[str] = []
        self._folders = [""]
        self._entered: Dict[Tuple[int, int], str] = {}
        seen = os.stat(root)
        if stat.S_ISREG(seen.st_mode):
            self.files.append(row(os.path.basename(root), seen))
        elif stat.S_ISDIR(seen.st_mode):
            self._go()
        else:
            raise OSError(errno.EINVAL, "it is %s, not a file or folder" % _kind(seen), root)

    def _go(self) -> None:
        while self._folders or self._linked_folders:
            self._enter(self._folders.pop() if self._folders else heapq.heappop(self._linked_folders))

    def _enter(self, folder: str) -> None:
        path = os.path.join(self._root, folder) if folder else self._root
        try:
            seen = os.stat(path)
            first = self._entered.setdefault((seen.st_dev, seen.st_ino), folder)
            if first != folder:
                self.left_out.append(LeftOut(folder, "it is the same folder as %s" % (first or self._root)))
                return
            if folder and os.path.lexists(os.path.join(path, BUILT)):
                return
            with os.scandir(path) as entries:
                above = folder + "/" if folder else ""
                for entry in entries:
                    name = entry.name
                    if not name.startswith(".") and name not in NOT_OURS:
                        self._take(entry, above + name)
        except FileNotFoundError:
            if not folder:
                raise
            # Else it was removed while the folder above it was read.

    def _take(self, entry: "os.DirEntry[str]", path: str) -> None:
        if entry.is_dir(follow_symlinks=False):
            self._folders.append(path)
            return
        try:
            seen = entry.stat()
        except OSError as error:
            if entry.is_symlink():
                goal = os.readlink(entry.path)
                self.left_out.append(LeftOut(path, "the link to %s leads nowhere: %s" % (goal, error.strerror)))
            elif not isinstance(error, FileNotFoundError):  # else it was removed while the folder was read
                raise
            return
        if entry.is_symlink():
            self.links.append(path)
        if stat.S_ISREG(seen.st_mode):
            self.files.append(self._row(path, seen))
        elif stat.S_ISDIR(seen.st_mode):
            heapq.heappush(self._linked_folders, path)
        else:
            self.left_out.append(LeftOut(path, "it is %s" % _kind(seen)))
