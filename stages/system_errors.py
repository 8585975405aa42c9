"""What the operating system says, as one sentence that names the cause and what to do. Host and stages share it.

Standard library only, Python 3.6.
"""

import errno
import os
from typing import Callable, Dict, Iterator, NamedTuple, Optional


class SystemSentence(NamedTuple):
    """One sentence for the user; ``bad_input``: what the user gave has to change, not the machine."""

    text: str
    bad_input: bool = False


def sentence_of(error: BaseException) -> Optional[SystemSentence]:
    """What an error of the system, of memory or of a text's encoding means; None: it says nothing about its cause."""
    if isinstance(error, MemoryError):
        return SystemSentence("There is no memory left: end other programs, or make the work smaller.")
    if isinstance(error, RecursionError):
        return SystemSentence(
            "What was read is nested too deeply to be taken apart: it is damaged or made to harm.", True
        )
    if isinstance(error, UnicodeDecodeError):
        piece = bytes(error.object[max(0, error.start - 10) : error.end + 10])
        return SystemSentence("A text is not UTF-8 (%r in %r): save it as UTF-8." % (_wrong(error), piece), True)
    if isinstance(error, UnicodeEncodeError):
        text = error.object[max(0, error.start - 40) : error.end + 40]
        return SystemSentence("A name cannot be written as UTF-8 (%s): rename it." % ascii(text), True)
    if isinstance(error, OSError):
        return _of_os_error(error)
    return None


def _wrong(error: UnicodeDecodeError) -> bytes:
    return bytes(error.object[error.start : error.end])


def _of_os_error(error: OSError) -> Optional[SystemSentence]:
    path = _path_of(error)
    if error.errno in _ABOUT_PATHS and path:
        return SystemSentence(_ABOUT_PATHS[error.errno](path), error.errno != errno.ENOENT or bool(_broken_link(path)))
    if error.errno in _ABOUT_THE_MACHINE:
        return SystemSentence(_ABOUT_THE_MACHINE[error.errno].format(where=" (%s)" % path if path else ""))
    if error.errno in _ABOUT_PATHS:
        return SystemSentence("The system refuses to go on: %s." % error.strerror)
    return None


def _path_of(error: OSError) -> str:
    """The path that the error is about, the new one of a rename where that cannot be; empty: it names none."""
    named = [name for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
    if not named:
        return ""
    of_target = len(named) == 2 and error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR)
    return os.fsdecode(named[-1] if of_target else named[0])


def _ways_to(path: str) -> Iterator[str]:
    """Every folder above a path, from the top, and the path itself."""
    above = os.path.dirname(path)
    if above not in ("", path):
        yield from _ways_to(above)
    yield path


def _forbidden(path: str) -> str:
    """What of a path, or of the folders above it, keeps one out."""
    last = "."
    for way in _ways_to(path):
        if os.path.isdir(way) and not os.access(way, os.X_OK):
            return way
        if os.path.lexists(way):
            last = way
    if last == path and os.access(path, os.R_OK | os.W_OK):
        return os.path.dirname(path) or "."  # only its folder can have refused
    return last


def _not_permitted(path: str) -> str:
    culprit = _forbidden(path)
    about = "%s cannot be read or written" % path
    return (
        "%s: permission denied%s. `ls -ld %s` shows whom that belongs to: give yourself the right (chmod, chown), or"
        " use another place." % (about, "" if culprit == path else " by %s" % culprit, culprit)
    )


def _broken_link(path: str) -> str:
    """The link on the way to a path that leads nowhere; empty: there is none."""
    return next((way for way in _ways_to(path) if os.path.islink(way) and not os.path.exists(way)), "")


def _not_there(path: str) -> str:
    link = _broken_link(path)
    if link:
        return "%s is a link to %s, which is not there: mend the link or remove it." % (link, os.readlink(link))
    if os.path.basename(path) == path and not os.path.lexists(path):
        return "There is no %s here, and no program of that name: install it, or look at its spelling." % path
    return "There is no %s; if it was there, something removed it meanwhile: run the same command again." % path


def _file_in_the_way(path: str) -> str:
    file = next((way for way in _ways_to(path) if os.path.lexists(way) and not os.path.isdir(way)), path)
    return "%s is a file, and a folder is needed there: move it away." % file


def _there_already(path: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return _not_there(path)
    return "%s is there already: move it away." % path if os.path.isdir(path) else _file_in_the_way(path)


def _too_long(path: str) -> str:
    shown = path if len(path) <= 100 else "%s…%s" % (path[:60], path[-30:])
    return "%s is a longer path or name than the disk takes (%d characters): shorten it." % (shown, len(path))


_ABOUT_PATHS: Dict[Optional[int], Callable[[str], str]] = {
    errno.EACCES: _not_permitted,
    errno.EPERM: _not_permitted,
    errno.EROFS: lambda path: (
        "%s lies on a disk that can only be read: use another place, or mount it writable." % path
    ),
    errno.ENOENT: _not_there,
    errno.ENOTDIR: _file_in_the_way,
    errno.EISDIR: lambda path: "%s is a folder, and a file is needed there: move it away." % path,
    errno.EEXIST: _there_already,
    errno.ENOTEMPTY: lambda path: "%s is a folder that is not empty: something else writes there; move it away." % path,
    errno.ENAMETOOLONG: _too_long,
    errno.ELOOP: lambda path: "%s leads through links that form a circle: remove one of them." % path,
    errno.ETXTBSY: lambda path: "%s is a program that runs right now: end it first." % path,
    errno.EBUSY: lambda path: "%s is in use, such as a disk mounted there: use another place, or free it." % path,
    errno.ENOEXEC: lambda path: "%s is no program for this machine: install the right one." % path,
    errno.EXDEV: lambda path: "%s lies on another disk than where it is to go: use places on one disk." % path,
}

_FULL = ": free some space and run the same command again; it goes on from there."
_ABOUT_THE_MACHINE: Dict[Optional[int], str] = {
    errno.ENOSPC: "The disk is full{where}" + _FULL,
    errno.EDQUOT: "Your share of the disk (quota) is used up{where}" + _FULL,
    errno.EFBIG: "A file became larger than it may be (File too large{where}): raise the limit, see `ulimit -f`.",
    errno.EIO: "The disk does not read or write as it should (input/output error{where}): look at `dmesg`, its"
    " cable and its health.",
    errno.EMFILE: "Too many files are open at once{where}: raise the limit, for instance `ulimit -n 4096`, and run the"
    " same command again.",
    errno.ENFILE: "The whole machine has too many files open{where}: end other programs.",
    errno.ESTALE: "A network disk was taken away or changed{where} (stale file handle): mount it anew and run the same"
    " command again.",
    errno.ENOMEM: "There is no memory left{where}: end other programs, or make the work smaller.",
    errno.EAGAIN: "The machine starts no more processes or threads{where}: end other programs, or raise `ulimit -u`.",
    errno.EPIPE: "The other side closed the connection{where}: run the same command again.",
    errno.ECONNRESET: "The other side closed the connection{where}: run the same command again.",
    errno.ECONNREFUSED: "The connection was refused{where}: what should listen there does not run.",
    errno.ETIMEDOUT: "The other side did not answer in time{where}: look at the network connection.",
    errno.ENETUNREACH: "There is no way to that network{where}: look at the network connection.",
    errno.EHOSTUNREACH: "There is no way to that machine{where}: look at the network connection.",
    errno.EADDRINUSE: "Another program listens at that port already{where}: take another port.",
}
