"""The ``__main__`` of detector.pyz: unpacks the programs once, and goes on from there.

Python imports from within an archive, but the programs start each other as processes, which need files. They are
unpacked beside the archive, or into the user's cache where that cannot be written, in a hidden folder that is named by
what it holds; so a newer archive does not meet the older one's programs. Standard library only, and understood by
Python 2 too, which JetPack calls ``python``, to say that it is the wrong one.
"""

import errno
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile

MODEL = "model/"


def main():
    # type: () -> None
    """Run the command line of detector.pyz; ends the process."""
    archive = os.path.abspath(sys.argv[0])
    if sys.version_info < (3, 6):
        sys.exit("%s needs Python 3.6 or newer: run it by python3" % archive)
    _speak_utf8(archive)
    try:
        sys.path[0] = _programs_of(archive)
        from stages.jetson import board_command
    except KeyboardInterrupt:  # a board takes seconds for this
        sys.stderr.write("error: Stopped; nothing is half-written.\n")
        sys.exit(130)
    sys.exit(board_command.main(archive, sys.argv[1:]))


def _speak_utf8(archive):
    # type: (str) -> None
    """Start again in a locale of UTF-8 where there is none, as over ssh or from a service.

    For Python 3.6 the locale decides what names of files are, and OpenCV crashes on names that are not in UTF-8.
    """
    if sys.getfilesystemencoding().lower() != "utf-8" and os.environ.get("LC_ALL") != "C.UTF-8" and sys.executable:
        os.environ["LC_ALL"] = "C.UTF-8"
        os.execv(sys.executable, [sys.executable, archive] + sys.argv[1:])


def _programs_of(archive):
    # type: (str) -> str
    """The folder that holds the archive's programs, unpacked if it is not there."""
    why = ""
    with zipfile.ZipFile(archive) as opened:
        entries = [entry for entry in opened.infolist() if not entry.filename.startswith(MODEL)]
        told = "".join("%s %d %d\n" % (entry.filename, entry.CRC, entry.file_size) for entry in entries)
        name = ".%s-%s" % (os.path.basename(archive), hashlib.sha256(told.encode("utf-8")).hexdigest()[:16])
        for place in _places(archive):
            folder = os.path.join(place, name)
            try:
                if not _is_whole(folder, entries):
                    _unpack(opened, entries, place, folder)
                return folder
            except (EnvironmentError, zipfile.BadZipFile) as error:
                why = why or str(error)
    sys.exit("The programs in %s cannot be unpacked (%s): copy it to a folder that you can write" % (archive, why))


def _places(archive):
    # type: (str) -> list[str]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [os.path.dirname(archive), os.path.join(cache, "nanoforge")]


def _is_whole(folder, entries):
    # type: (str, list[zipfile.ZipInfo]) -> bool
    """Whether the programs are there, and of nobody else: in a folder for all, another could have put them there."""
    if not os.path.isdir(folder) or os.path.islink(folder):
        return False
    if os.stat(folder).st_uid not in (0, os.getuid()):
        raise EnvironmentError(errno.EPERM, "%s belongs to somebody else" % folder)
    paths = [(os.path.join(folder, entry.filename), entry.file_size) for entry in entries]
    return all(os.path.isfile(path) and os.path.getsize(path) == size for path, size in paths)


def _unpack(archive, entries, place, folder):
    # type: (zipfile.ZipFile, list[zipfile.ZipInfo], str, str) -> None
    """Make the folder, which appears whole; another process may do the same meanwhile."""
    if not os.path.isdir(place):
        os.makedirs(place)
    aside = tempfile.mkdtemp(dir=place, prefix=os.path.basename(folder) + ".")  # no name that another could guess
    try:
        os.chmod(aside, 0o755)
        archive.extractall(aside, entries)
        if os.path.lexists(folder) and not _is_whole(folder, entries):
            shutil.rmtree(folder)
        os.rename(aside, folder)
    except OSError:
        if not _is_whole(folder, entries):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


if __name__ == "__main__":
    main()
