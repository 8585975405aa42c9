"""After a stage that did not end well: its half-made output goes, and the user is told what stays and what to do."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

from rich.filesize import decimal

from nanoforge.errors import Interrupted, NanoforgeError, StageFailed
from nanoforge.files.atomic import make_readable
from nanoforge.files.disks import FULL, disk_of, size_of_folder, tells_of_full_disk
from nanoforge.pipeline.notes import Notes
from nanoforge.runners.contract import FINDINGS

BEGUN = ".begun"


@contextmanager
def tidied(stage: str, folder: Path, begun: bool, notes: Notes) -> Iterator[None]:
    """Inside, what fails has failed for ``stage``, whose work folder is ``folder``; ``begun``: it had been made before.

    Its output is removed: no later run goes on from it, and it may be what filled the disk. Its scratch stays, and what
    it had found in the user's data is kept among the ``notes``.

    Raises:
        StageFailed: the disk is full, or the work folder was removed meanwhile; other errors as they are, with the way
            to what was found.
    """
    try:
        yield
    except BaseException as error:
        drop_output(folder)
        if isinstance(error, Interrupted) or not isinstance(error, (NanoforgeError, OSError)):
            raise
        if begun:
            check_begun(stage, folder)
        if isinstance(error, OSError) and error.errno in FULL:
            place = Path(error.filename) if isinstance(error.filename, str) else folder
            raise StageFailed(f"{stage}: {error.strerror}: {place}. {_room_words(place, folder)}") from None
        more = [*_words_of_full_disk(str(error), folder), *_words_of_findings(stage, folder, notes)] if begun else []
        if isinstance(error, NanoforgeError) and more:
            raise type(error)("\n".join([str(error), *more]), error.metrics) from None
        raise


def begin(folder: Path) -> None:
    """Make the work folder of a stage, without the output of an earlier try."""
    make_readable(folder.parent)
    folder.mkdir(exist_ok=True)
    drop_output(folder)
    with suppress(OSError):  # what an earlier try found is not this one's
        _findings_of(folder).unlink()
    (folder / BEGUN).touch()


def check_begun(stage: str, folder: Path) -> None:
    """The work folder must be the one in which the stage began: a stage would make a removed one again, half empty.

    Raises:
        StageFailed: it was removed.
    """
    if not (folder / BEGUN).exists():
        raise StageFailed(
            f"{stage}: {folder} was removed while it worked there, so what it made is lost. Run the same command again,"
            " and leave the build folder alone meanwhile."
        ) from None


def drop_output(folder: Path) -> None:
    """Remove the half-made output of a work folder."""
    shutil.rmtree(folder / "output", ignore_errors=True)


def _findings_of(folder: Path) -> Path:
    return folder / "scratch" / FINDINGS


def _words_of_findings(stage: str, folder: Path, notes: Notes) -> Iterator[str]:
    kept = notes.keep_findings(stage, _findings_of(folder))
    if kept:
        yield f"Its findings so far: {kept.file} ({kept.lines} {'line' if kept.lines == 1 else 'lines'})"


def _words_of_full_disk(error: str, folder: Path) -> Iterator[str]:
    if tells_of_full_disk(error):
        yield _room_words(folder, folder)


def _room_words(place: Path, folder: Path) -> str:
    disk, scratch = disk_of(place), folder / "scratch"
    resumable = scratch.is_dir() and any(path.name not in ("job.json", FINDINGS) for path in scratch.iterdir())
    goes_on = f"; it goes on from {scratch} ({decimal(size_of_folder(scratch))})" if resumable else ""
    return (
        f"The disk at {disk.mount}, which holds {place}, has {decimal(disk.free)} free, now that the half-made output"
        f" is removed: make room there, for instance with `./run gc`, and run the same command again{goes_on}."
    )
