"""Files and folders that appear at once: a crash leaves the old one or none, never half of one.

Whatever is written aside is removed after an error, and where its process was killed, by the next one that comes by.
Standard library only: the host environment is made by this too.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Callable, Iterator, Optional

Teller = Callable[[str], None]
MAKING = ".making"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place at the end; after an error it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with _held_new(path) as temporary:
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _sync(path.parent)


@contextmanager
def _held_new(path: Path) -> Iterator[Path]:
    """A new file beside ``path``, held for as long as it is written, by which others see that it is not abandoned."""
    while True:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(temporary, "xb") as stream:
            # Another process may have come by before it was held, and taken it for abandoned.
            if _is_held(stream) and os.fstat(stream.fileno()).st_nlink:
                yield temporary
                return


def _is_held(stream: IO[Any]) -> bool:
    try:
        return _take(stream, wait=False)
    except OSError:
        return True  # a file system without locks: nothing on it is taken for abandoned either


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes have left of their :func:`replacing` this path."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.\d+(\.[0-9a-f]{{8}})?")
    with os.scandir(path.parent) as entries:
        found = [entry.path for entry in entries if pattern.fullmatch(entry.name) and entry.is_file()]
    for name in found:
        with suppress(OSError), open(name, "rb") as stream:
            if _take(stream, wait=False):
                os.unlink(name)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whose folder is made if need be."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` of the text in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """:func:`write_text` of the value as JSON."""
    write_text(path, json.dumps(value, indent=1))


def made_once(target: Path, what: str, make: Callable[[Path], None], tell: Optional[Teller] = None) -> Path:
    """``target``, a file or a folder that all processes share: made by the first that needs it, whole or not there.

    Args:
        what: it is, for the user.
        make: makes it at the path that it is given, beside the target; what a killed maker left there is gone.
        tell: told of another process that is waited for.

    Returns:
        ``target``.
    """
    if target.exists():
        return target
    with held(lock_of(target), f"make {what}", tell):
        if not target.exists():
            aside = target.with_name(f".{target.name}{MAKING}")
            remove(aside)
            try:
                make(aside)
                fsync_tree(aside)
                os.rename(aside, target)
            except BaseException:
                with suppress(OSError):
                    remove(aside)
                raise
            _sync(target.parent)
    return target


def marked_once(folder: Path, mark: str, what: str, make: Callable[[], str], tell: Optional[Teller] = None) -> Path:
    """:func:`made_once` for a folder that knows its own path, such as a virtual environment: it is made in its place.

    It is whole from the moment that it holds the file ``mark``, whose text ``make`` returns; without it, it is removed.

    Returns:
        ``folder``.
    """
    if (folder / mark).is_file():
        return folder
    with held(lock_of(folder), f"make {what}", tell):
        if not (folder / mark).is_file():
            remove(folder)
            try:
                text = make()
                os.sync()  # tens of thousands of files: one by one would take minutes
                write_text(folder / mark, text)
            except BaseException:
                with suppress(OSError):
                    remove(folder)
                raise
    return folder


def lock_of(target: Path) -> Path:
    """The file that is held while ``target`` is made or removed."""
    return target.with_name(f"{target.name}.lock")


@contextmanager
def held(lock: Path, purpose: str, tell: Optional[Teller] = None) -> Iterator[None]:
    """Be the only process that has the lock; the system frees it however that process ends.

    Args:
        purpose: what is waited for where another process has it, as in ``waiting for process 12 to make x``.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+", encoding="utf-8") as stream:
        if not _take(stream, wait=False):
            stream.seek(0)
            holder = stream.read().strip()
            (tell or _tell)(f"waiting for {f'process {holder}' if holder else 'another process'} to {purpose} …")
            _take(stream, wait=True)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


@contextmanager
def held_if_free(lock: Path) -> Iterator[bool]:
    """:func:`held`, but False where another process has the lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+", encoding="utf-8") as stream:
        yield _take(stream, wait=False)


def _take(stream: IO[Any], wait: bool) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def make_readable(folder: Path) -> None:
    """Make a folder, and those above it that are missing; whoever gets there can read it, whatever the umask says."""
    if folder.is_dir():
        return
    make_readable(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fsync_tree(root: Path) -> None:
    """Bring a file, or all below a folder, to the disk, so that a power cut after the rename cannot empty them."""
    if not root.is_dir():
        _sync(root)
    for directory, _, names in os.walk(root):
        for name in (*names, "."):
            _sync(Path(directory) / name)


def fsync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk, so that a power cut cannot undo a rename."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot do it for folders
            raise
    finally:
        os.close(descriptor)
