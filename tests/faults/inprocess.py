"""Commands in forks of a process that has imported everything: quick, and cut at any call that changes a file.

Python tells an audit hook of every such call before it is made (https://docs.python.org/3/library/audit_events.html);
a hook that raises is a call that fails, and one that ends the process is a crash at that place.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import pkgutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

from judge import Done

from nanoforge import commands, doctor

HANGS_S = 300
CRASH = 77
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.symlink", "os.link", "os.truncate")
CRASHES = {"crash": "ends the process", "torn": "ends the process, a file half written"}
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}


class Cut(NamedTuple):
    """Which of the calls that change something below ``under`` is cut, the first being 1, and how."""

    under: Path
    at: int
    how: str


class _Cutter:
    """What the audit hook knows; there is one in a process."""

    def __init__(self) -> None:
        self.cut: Optional[Cut] = None
        self.count = 0
        self.struck = False
        self._busy = False

    def hook(self, event: str, arguments: Any) -> None:
        if self.cut is None or self._busy or not (event in CHANGES or (event == "open" and _writes(arguments))):
            return
        path = _path(event, arguments)
        if path is None or not path.startswith(str(self.cut.under)):
            return
        self.count += 1
        beyond = self.cut.how == "ENOSPC" and self.cut.at and event in ("open", "os.mkdir", "os.symlink")
        if self.count == self.cut.at or (beyond and self.count > self.cut.at):
            self._strike(event, path, self.cut.how)

    def _strike(self, event: str, path: str, how: str) -> None:
        self._busy = self.struck = True
        try:
            if how in ERRORS:
                raise OSError(ERRORS[how], os.strerror(ERRORS[how]), path)
            if how == "torn" and event == "open" and not path.endswith((".sqlite", "lock")):
                with open(path, "wb") as stream:
                    stream.write(b'{"')
            os._exit(CRASH)
        finally:
            self._busy = False


CUTTER = _Cutter()
_hooked = False


def _writes(arguments: Any) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _path(event: str, arguments: Any) -> Optional[str]:
    """The path that a call is about; that of the new name where it has two."""
    path = arguments[1] if event in ("os.rename", "os.symlink", "os.link") else arguments[0]
    if isinstance(path, int) or path is None:
        return None
    text = os.fsdecode(path)
    where = [part for part in arguments[1:] if isinstance(part, int) and part >= 0] if event != "open" else []
    if not os.path.isabs(text) and where and event in ("os.remove", "os.rmdir"):
        return os.path.join(os.readlink(f"/proc/self/fd/{where[-1]}"), text)
    return os.path.abspath(text)


def _fsync(real: Callable[[int], None]) -> Callable[[int], None]:
    """Python tells nobody of a sync; it is counted like the others."""

    def fsync(descriptor: int) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        CUTTER.hook("os.truncate", (os.readlink(f"/proc/self/fd/{number}"), 0))
        real(descriptor)

    return fsync


@functools.lru_cache()
def _imported() -> Any:
    """The program, and with it everything that its commands would import one by one."""
    for room in (commands, doctor):
        for module in pkgutil.iter_modules(room.__path__):
            importlib.import_module(f"{room.__name__}.{module.name}")
    for name in ("tasks", "rich.console", "rich.progress", "rich.markup"):
        importlib.import_module(name)
    return importlib.import_module("nanoforge.__main__")


def forked(
    arguments: Sequence[Any],
    cwd: Path,
    environment: Mapping[str, str],
    cut: Optional[Cut] = None,
    prepare: Callable[[], None] = lambda: None,
) -> Done:
    """Run ``./run`` with ``arguments`` in a fork; ``counted`` reads how many calls it made that could be cut."""
    global _hooked
    program = _imported()

    if cut and not _hooked:
        sys.addaudithook(CUTTER.hook)
        os.fsync = _fsync(os.fsync)
        _hooked = True
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            signal.alarm(HANGS_S)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os._exit(_command(program.main, arguments, cwd, environment, cut, prepare))
        _, status = os.waitpid(pid, 0)
        told = []
        for stream in (out, err):
            stream.seek(0)
            told.append(stream.read().decode("utf-8", "replace"))
    code = os.waitstatus_to_exitcode(status) if sys.version_info >= (3, 9) else _exit_code(status)
    assert code != -signal.SIGALRM, f"{' '.join(map(str, arguments))} hangs"
    return Done(code, *told)


def counted(done: Done) -> Optional[int]:
    """How many calls a command made that was not cut; None where it was."""
    words = done.out.split()
    return int(words[-2]) if words[-1:] == ["whole"] else None


def _exit_code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def _command(
    main: Callable[[], None],
    arguments: Sequence[Any],
    cwd: Path,
    environment: Mapping[str, str],
    cut: Optional[Cut],
    prepare: Callable[[], None],
) -> int:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = ["run", *map(str, arguments)]
    sys.pycache_prefix = None
    sys.dont_write_bytecode = True
    prepare()
    CUTTER.cut = cut
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    CUTTER.cut = None
    print(f"\n{CUTTER.count} {'cut' if CUTTER.struck else 'whole'}")
    sys.stdout.flush()
    sys.stderr.flush()
    return code
