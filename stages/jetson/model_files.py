"""A model's folder as it travels to the board, loose or in an archive: proven whole before anything of it is used.

``checksums.json`` is ``{"format": 1, "name": "cones", "files": {"model.uff": {"sha256", "bytes"}, ...}}`` with every
other file of the folder. An archive (detector.pyz, or a .zip) holds the folder as ``model/``, and what else it likes.
"""

import json
import os
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from typing import Any, Dict, List, NamedTuple

from stages import files
from stages.jetson.engine_file import sha256_of
from stages.job import BadInput

CHECKSUMS, SAMPLES, CALIBRATION, FORMAT = "checksums.json", "samples.json", "calibration", 1
PREFIX = "model/"
LARGEST_JSON = 1 << 24
# Ten times what the largest detector of the zoo takes with pictures; a small file can unpack to far more.
MOST_BYTES, MOST_FILES = 1 << 30, 20000
AGAIN = "copy it to the board again, or make it again (bundle)"


class Listed(NamedTuple):
    """What checksums.json says of one file."""

    sha256: str
    bytes: int


def check(folder: str, called: str = "") -> Dict[str, Any]:
    """What ``checksums.json`` says of the folder, once every file there is as it says.

    Args:
        called: what the user knows it by, where that is something else.

    Raises:
        BadInput: a file is missing, another, or not listed; or the list itself cannot be read.
    """
    said = _read_list(os.path.join(folder, CHECKSUMS), os.path.join(called or folder, CHECKSUMS))
    folder, there_it_is = called or folder, folder
    listed = _listed(said, folder)
    found = files.walk(there_it_is)
    if found.links or found.left_out:
        odd = found.links[0] if found.links else found.left_out[0].path
        raise BadInput("%s in %s is a link or no file at all, and a model has only files; %s" % (odd, folder, AGAIN))
    there = {one.path: one.size for one in found.files}
    there.pop(CHECKSUMS, None)
    missing, unlisted = sorted(set(listed) - set(there)), sorted(set(there) - set(listed))
    if missing:
        raise BadInput("%s lacks %s, which its %s lists; %s" % (folder, _few(missing), CHECKSUMS, AGAIN))
    if unlisted:
        raise BadInput("%s holds %s, which its %s does not list; %s" % (folder, _few(unlisted), CHECKSUMS, AGAIN))
    wrong = [
        name
        for name, size in sorted(there.items())
        if size != listed[name].bytes or sha256_of(os.path.join(there_it_is, name)) != listed[name].sha256
    ]
    if wrong:
        raise BadInput("%s in %s is not what its %s says; %s" % (_few(wrong), folder, CHECKSUMS, AGAIN))
    return said


def unpack(path: str, scratch: str) -> str:
    """The folder ``model/`` of the archive ``path``, unpacked below ``scratch`` and checked.

    Raises:
        BadInput: it is no archive, a damaged or a harmful one, or its files are not what its list says.
    """
    folder = os.path.join(scratch, "unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in model_entries(archive, path):
                target = os.path.join(folder, *entry.filename.split("/"))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with archive.open(entry) as source, open(target, "wb") as stream:
                    shutil.copyfileobj(source, stream, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise BadInput(_why_no_archive(path, error)) from error
    model = os.path.join(folder, "model")
    check(model, os.path.join(path, PREFIX.rstrip("/")))
    return model


def listed_in(path: str) -> Dict[str, Listed]:
    """What the list in the archive ``path`` says of each file of its model.

    Raises:
        BadInput: it is no archive with such a list.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _listed(_parsed(archive.read(PREFIX + CHECKSUMS), path), path)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BadInput(_why_no_archive(path, error)) from error


def model_entries(archive: zipfile.ZipFile, path: str) -> List[zipfile.ZipInfo]:
    """The files below ``model/``, once every name in the archive is one that stays in the folder it is unpacked to.

    Raises:
        BadInput: an entry leads out of the folder, is a link, comes twice, needs a password, or all are too large.
    """
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    names = [entry.filename for entry in entries]
    harmful = next(
        (name for name in (entry.orig_filename for entry in archive.infolist()) if not _stays_inside(name)), None
    )
    if harmful is not None:
        raise BadInput("%s holds the name %s, which leads out of its folder: do not use it" % (path, ascii(harmful)))
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise BadInput("%s holds %s as a link or a device: do not use it" % (path, entry.filename))
        if entry.flag_bits & 1:
            raise BadInput("%s in %s is encrypted; %s" % (entry.filename, path, AGAIN))
    parents = {name[:place] for name in names for place, letter in enumerate(name) if letter == "/"}
    twice = next((name for name, times in Counter(names).items() if times > 1 or name in parents), None)
    if twice is not None:
        raise BadInput("%s holds %s twice: do not use it" % (path, twice))
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise BadInput(
            "%s unpacks to more than a bundle has (%d files, %d MB): do not use it"
            % (path, len(entries), sum(entry.file_size for entry in entries) >> 20)
        )
    found = [entry for entry in entries if entry.filename.startswith(PREFIX)]
    if not found:
        raise BadInput("%s holds no folder model; is this the detector.pyz that bundle made?" % path)
    return found


def _stays_inside(name: str) -> bool:
    """Relative, with no part that goes up or means nothing, nor what another system takes for a separator."""
    parts = name[:-1].split("/") if name.endswith("/") else name.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not any(one in name for one in "\\:\0")


def _why_no_archive(path: str, error: Exception) -> str:
    with files.opened(path) as stream:
        begins_like_one = b"PK\3\4" in stream.read(256)
    if isinstance(error, zipfile.BadZipFile) and "not a zip" in str(error):
        if begins_like_one:
            return "%s is cut off before its end (%d bytes are there); %s" % (path, os.path.getsize(path), AGAIN)
        return "%s is not an archive; is this the detector.pyz that bundle made?" % path
    return "%s is a damaged archive (%s); %s" % (path, error, AGAIN)


def _read_list(path: str, called: str) -> Dict[str, Any]:
    try:
        data = files.read(path, LARGEST_JSON)
    except OSError as error:
        raise BadInput(
            "%s cannot be read (%s); is this a bundle's folder? %s" % (called, error.strerror, AGAIN)
        ) from error
    return _parsed(data, called)


def _parsed(data: bytes, path: str) -> Dict[str, Any]:
    """The list that the bytes of ``path`` hold, in a format that this can read."""
    try:
        said: Dict[str, Any] = json.loads(data.decode("utf-8"))
        number, _ = said["format"], said["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("%s is damaged (%s); %s" % (path, error, AGAIN)) from error
    if number != FORMAT:
        raise BadInput(
            "%s is of format %s, and this Nanoforge reads %d: use the newer one's own detector.pyz, or make the bundle"
            " with this one" % (path, number, FORMAT)
        )
    return said


def _listed(said: Dict[str, Any], folder: str) -> Dict[str, Listed]:
    try:
        return {str(name): Listed(str(one["sha256"]), int(one["bytes"])) for name, one in dict(said["files"]).items()}
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadInput("%s of %s is damaged (%s); %s" % (CHECKSUMS, folder, error, AGAIN)) from error


def _few(names: List[str]) -> str:
    return ", ".join(names[:3]) + (" and %d more" % (len(names) - 3) if len(names) > 3 else "")
