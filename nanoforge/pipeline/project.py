"""A project: the folder with a ``detector.toml``, and the ``build/`` folder beside it."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set

from filelock import FileLock, Timeout

from nanoforge.config import checkpoints
from nanoforge.config.reader import load
from nanoforge.config.schema import FILE_NAME
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.files.atomic import write_json
from nanoforge.files.digests import DigestCache
from nanoforge.pipeline.stages import STAGES, TABLE, Stage, StageContext
from nanoforge.runners.contract import Runner
from nanoforge.runners.placement import NO_OVERRIDE, Placement, PlacementOverride, owner_of
from nanoforge.store.store import Store


class Project:
    """Everything that commands need to know of one project.

    Args:
        config_file: the project's detector.toml.
        overrides: ``section.key=value`` texts that win over the file.
        override: what the command line says of where stages run.

    Raises:
        BadInput: the file or an override cannot be used.
    """

    def __init__(
        self, config_file: Path, overrides: Sequence[str], console: Console, override: PlacementOverride = NO_OVERRIDE
    ) -> None:
        self.config = load(config_file, overrides)
        self.folder = config_file.absolute().parent
        self.build = self.folder / "build"
        self.console = console
        self.context = StageContext(self.config, self.folder, checkpoints.resolve(self.config.model, self.folder))
        folders = {stage.name: stage.folder(self.context) for stage in TABLE}
        self.store = Store(self.build, {name: folder for name, folder in folders.items() if folder})
        self.digests = DigestCache(self.build / "cache" / "digests", self.warn_once)
        self.placement = Placement(self.config, console, override)
        self.placement.check_stages(STAGES)
        self.owner = owner_of(self.folder)
        self._warned: Set[str] = set()
        self._since = time.strftime("%H:%M:%S")
        self._running: List[str] = []
        self._holding = threading.Lock()

    def runner(self, stage: Stage) -> Runner:
        """What runs the stage: where the user wants it, in the environment it needs."""
        return self.placement.runner(stage.name, stage.environment, stage.gpu, stage.also)

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
        lock = FileLock(str(self.build / "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.console.say(f"waiting for {self._holder_words()} to finish in {self.folder} …")
            lock.acquire()
        try:
            self._note_holder()
            yield
        finally:
            self._holder_file.unlink(missing_ok=True)
            lock.release()

    @property
    def _holder_file(self) -> Path:
        return self.build / "holder.json"

    def _note_holder(self) -> None:
        command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
        note = {"pid": os.getpid(), "command": command, "since": self._since, "stages": self._running}
        write_json(self._holder_file, note)

    def _holder_words(self) -> str:
        holder = _read_json(self._holder_file) or {}
        command, process, since = (holder.get(name, "unknown") for name in ("command", "pid", "since"))
        return f"`{command}` (process {process}, since {since})"

    def running_stages(self) -> List[str]:
        """The stages that another command runs in this project right now."""
        lock = FileLock(str(self.build / "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return list((_read_json(self._holder_file) or {}).get("stages", []))
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
            with self._holding:
                self._running.remove(stage)
                self._note_holder()

    def note_failure(self, stage: str, fingerprint: str, error: str) -> None:
        write_json(
            self._failure_file(stage),
            {"fingerprint": fingerprint, "error": error, "when": time.strftime("%Y-%m-%d %H:%M:%S")},
        )

    def forget_failure(self, stage: str) -> None:
        if self._failure_file(stage).is_file():
            self._failure_file(stage).unlink()

    def failure(self, stage: str, fingerprint: str) -> Optional[str]:
        """How the last run of exactly this work failed, or None."""
        note = _read_json(self._failure_file(stage)) or {}
        return str(note["error"]) if note.get("fingerprint") == fingerprint else None

    def _failure_file(self, stage: str) -> Path:
        return self.build / "failures" / f"{stage}.json"


def find_config(stated: str) -> Path:
    """The detector.toml to use: the stated one (a file, or the folder it is in), else that of the current folder."""
    path = Path(stated).expanduser() if stated else Path.cwd()
    if path.is_dir():
        path = path / FILE_NAME
    if stated and not path.is_file():
        raise BadInput(f"--config: there is no file {path}.")
    return path


def _read_json(path: Path) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
