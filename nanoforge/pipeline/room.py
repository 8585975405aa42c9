"""Before a stage begins: does what it makes fit on the disk? What is sure not to is said now, not hours later."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Optional

from rich.filesize import decimal

from nanoforge.errors import EnvironmentNotReady
from nanoforge.files.disks import disk_of, size_of_folder
from nanoforge.pipeline.aids import earlier_artifact
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.scheduler import StageWork
from nanoforge.pipeline.stages import UserFiles, records_size

# What nine of ten photos take at least, per pixel; see "Room on the disk" in docs/benchmarks.md.
PNG_BYTES = 1.0
JPEG_BYTES = ((95, 0.25), (90, 0.18), (75, 0.10), (1, 0.05))
"""From this quality on."""


class RoomNeeded(NamedTuple):
    """What the pictures that a stage makes take on the disk.

    Attributes:
        bytes_each: of a picture; nine of ten photos take more.
        copies: how often it lies there until the stage ends.
        elsewhere: how to have it on another disk, as a clause.
    """

    bytes_each: float
    copies: int
    elsewhere: str


class _Photos(NamedTuple):
    """How many photos go into a stage, and the bytes of one on average."""

    number: int
    bytes_each: float


def check_room(work: StageWork, folder: Path) -> None:
    """There must be room for a stage's work in ``folder``, its work folder.

    Raises:
        EnvironmentNotReady: naming what is needed, and what is free where.
    """
    photos = _photos(work) if work.stage.name in ROOMS else None
    if photos is None:
        return
    room = ROOMS[work.stage.name](work.project.context)
    needed = _needed(work, room, photos) - size_of_folder(folder / "scratch")
    disk = disk_of(folder)
    if needed > disk.free:
        raise EnvironmentNotReady(
            f"{work.stage.name}: there is no space for it: {photos.number} photos need about {decimal(int(needed))} at"
            f" {folder.parent}, and the disk at {disk.mount} has {decimal(disk.free)} free: make room there, for"
            f" instance with `./run gc`, or {room.elsewhere}."
        )


def _photos(work: StageWork) -> Optional[_Photos]:
    context = work.project.context
    source = work.stage.inputs(context).get("photos")
    if not isinstance(source, UserFiles):
        return None
    count, size = work.project.digests.extent(source.path, source.selection)
    used = min(count, context.config.records.limit or count)
    return _Photos(used, size / count) if used else None


def _needed(work: StageWork, room: RoomNeeded, photos: _Photos) -> float:
    """As an earlier artifact of the same parameters was, where there is one; else no picture takes more than its
    photo."""
    earlier = earlier_artifact(work) if "earlier" in work.stage.aids else None
    parameters = (work.status.recipe or {})["parameters"]
    before = int(earlier.metrics.get("images", 0)) if earlier and earlier.recipe["parameters"] == parameters else 0
    if earlier and before:
        size = sum(int(entry["size"]) for entry in earlier.record["files"].values()) / before
        return photos.number * size + max(photos.number - before, 0) * size * (room.copies - 1)
    return photos.number * min(room.bytes_each, photos.bytes_each) * room.copies


def _of_records(context: StageContext) -> RoomNeeded:
    """Their pictures lie in the scratch folder, too, until their order is known."""
    height, width = records_size(context)
    records = context.config.records
    each = PNG_BYTES if records.encoding == "png" else _jpeg_bytes(records.jpeg_quality)
    return RoomNeeded(height * width * each, 2, "name a folder on another disk with records.folder")


def _of_smaller_photos(context: StageContext) -> RoomNeeded:
    """Few photos are more than three times as long as they are high."""
    resize = context.config.resize
    pixels = resize.long_side**2 / 3
    return RoomNeeded(pixels * _jpeg_bytes(resize.jpeg_quality), 1, "make `build` a link to a folder on another disk")


def _jpeg_bytes(quality: int) -> float:
    return next(each for least, each in JPEG_BYTES if quality >= least)


ROOMS: Mapping[str, Callable[[StageContext], RoomNeeded]] = {"resize": _of_smaller_photos, "records": _of_records}
"""Stage -> what it takes, where that is known before."""
