"""A project: the folder with a ``detector.toml``, and the ``build/`` folder beside it."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set

from filelock import FileLock, Timeout

from nanoforge.config import checkpoints
from nanoforge.config.reader import load
from nanoforge.config.schema import FILE_NAME
from nanoforge.console import Console
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, NanoforgeError
from nanoforge.files.atomic import make_readable
from nanoforge.files.digests import DigestCache
from nanoforge.files.paths import user_path
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.notes import Notes, note, noted
from nanoforge.pipeline.ownership import folders_elsewhere
from nanoforge.pipeline.stages import STAGES, Stage, row_in
from nanoforge.runners.contract import Runner
from nanoforge.runners.placement import NO_OVERRIDE, Placement, PlacementOverride, owner_of
from nanoforge.store.folders import StageFolders
from nanoforge.store.store import Store
from nanoforge.urls import without_secrets
from stages.files import BUILT

BUILD = Path("build")


class Project:
    """Everything that commands need to know of one project.

    Args:
        config_file: the project's detector.toml.
        overrides: ``section.key=value`` texts that win over the file.
        override: what the command line says of where stages run.
        build: where its artifacts, logs and notes are, relative to the project's folder. What is remembered of the
            user's files is in `BUILD` whatever this is, so that they are read once.

    Raises:
        BadInput: the file or an override cannot be used.
    """

    def __init__(
        self,
        config_file: Path,
        overrides: Sequence[str],
        console: Console,
        override: PlacementOverride = NO_OVERRIDE,
        build: Path = BUILD,
    ) -> None:
        self.config = load(config_file, overrides)
        self.folder = config_file.absolute().parent
        self.build = self.folder / build
        self.console = console
        self.context = StageContext(self.config, self.folder, checkpoints.resolve(self.config.model, self.folder))
        self.owner = owner_of(self.folder)
        _check_build(self.build)
        folders = StageFolders(self.build, folders_elsewhere(self.context, self.build), self.owner)
        self.digests = DigestCache(self.folder / BUILD / "cache" / "digests", self.warn_once)
        self.store = Store(self.build, self.digests, folders)
        self.notes = Notes(self.build)
        self.placement = Placement(self.config, console, override)
        self.placement.check_stages(STAGES)
        self._warned: Set[str] = set()
        self._silent: Dict[str, NanoforgeError] = {}
        self._since = time.strftime("%H:%M:%S")
        self._running: List[str] = []
        self._holding = threading.Lock()

    def stage(self, name: str) -> Stage:
        """The table's row of that name as it is in this project."""
        return row_in(name, self.context)

    def runner(self, stage: Stage) -> Runner:
        """What runs the stage: where the user wants it, in the environment it needs."""
        return self.placement.runner(stage.name, stage.environment, stage.gpu, stage.also)

    def image(self, stage: Stage) -> Optional[str]:
        """The id of the stage's image, as `Runner.image` has it.

        Raises:
            EnvironmentNotReady, DaemonLost: the daemon does not answer, and is not asked a second time; or the stage
                needs a Jetson, and this is none.
        """
        self.placement.check_machine(stage.name, stage.environment)
        place = self.placement.place(stage.name)
        if place in self._silent:
            raise self._silent[place]
        try:
            return self.runner(stage).image
        except (EnvironmentNotReady, DaemonLost) as error:
            self._silent[place] = error
            raise

    def log_file(self, stage: str, fingerprint: str) -> Path:
        return self.build / "logs" / f"{stage}-{fingerprint[:12]}.log"

    def warn_once(self, text: str) -> None:
        """Warn of what several stages come upon."""
        if text not in self._warned:
            self._warned.add(text)
            self.console.warn(text)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project for this command; wait, and say for whom, while another one holds it."""
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.console.say(f"waiting for {self._holder_words()} to finish in {self.folder} …")
            lock.acquire()
        try:
            (self.build / BUILT).touch()
            self._note_holder()
            yield
        finally:
            with suppress(OSError):  # such as a build folder that is gone; it must not hide what went wrong before
                self._holder_file.unlink(missing_ok=True)
            lock.release()

    @property
    def _holder_file(self) -> Path:
        return self.build / "holder.json"

    def _note_holder(self) -> None:
        command = without_secrets(shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
        holder = {"pid": os.getpid(), "command": command, "since": self._since, "stages": self._running}
        note(self._holder_file, holder)

    def _holder_words(self) -> str:
        holder = noted(self._holder_file)
        command, process, since = (holder.get(name, "unknown") for name in ("command", "pid", "since"))
        return f"`{command}` (process {process}, since {since})"

    def _lock(self) -> FileLock:
        make_readable(self.build)
        return FileLock(str(self.build / "lock"))

    def running_stages(self) -> List[str]:
        """The stages that another command runs in this project right now."""
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            running = noted(self._holder_file).get("stages")
            return running if isinstance(running, list) else []
        lock.release()
        return []

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Let other commands see that ``stage`` runs."""
        with self._holding:
            self._running.append(stage)
            self._note_holder()
        try:
            yield
        finally:
            with self._holding, suppress(OSError):
                self._running.remove(stage)
                self._note_holder()


def find_config(stated: str) -> Path:
    """The detector.toml to use: the stated one (a file, or the folder it is in), else that of the current folder."""
    path = user_path(stated) if stated else Path.cwd()
    if path.is_dir():
        path = path / FILE_NAME
    if stated and not path.is_file():
        raise BadInput(f"--config: there is no file {path}.")
    return path


def _check_build(build: Path) -> None:
    """``build`` is a folder, or nothing yet.

    Raises:
        BadInput: it is something else.
    """
    if build.is_symlink() and not build.exists():
        raise BadInput(
            f"{build} is a link to {os.readlink(build)}, which is not there: mount its disk, or remove the link."
        )
    if build.exists() and not build.is_dir():
        raise BadInput(f"{build} is a file, where Nanoforge keeps what it makes in a folder: move the file away.")
