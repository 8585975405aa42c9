"""Where artifacts lie, and which folders there are the store's own: it touches nothing that it did not make.

A stage's folder holds artifacts under their fingerprints, ``work-…`` of what is being made and ``.discarded-…`` of what
is being removed; whatever has another name there is somebody else's. Where the user names a folder, the store works in
``nanoforge-<project>-<digest>/`` in it, which it makes itself and marks with the project that it belongs to.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from pathlib import Path
from typing import Iterator, List, Mapping, Optional

from nanoforge.errors import BadInput
from nanoforge.files.atomic import fsync_folder, make_readable, write_json
from nanoforge.files.digests import sha256_text
from nanoforge.store.record import FOLDER_DIGITS, RECORD
from stages.files import read

STAGE = re.compile(r"[a-z][a-z-]*")
ARTIFACT = re.compile(rf"[0-9a-f]{{{FOLDER_DIGITS}}}")
WORK = re.compile(rf"work-[0-9a-f]{{{FOLDER_DIGITS}}}")
DISCARDED = re.compile(r"\.discarded-.+")
MARKER = "nanoforge-project.json"
MOST_BYTES = 1 << 20


class StageFolders:
    """The folders of one project's stages.

    Args:
        build: the project's build folder.
        elsewhere: stage name -> the user's folder for its artifacts, where they are not to be under ``build``.
        owner: the machine and the project.
    """

    def __init__(self, build: Path, elsewhere: Mapping[str, Path], owner: str) -> None:
        self._build = build
        self._elsewhere = elsewhere
        self._owner = owner

    def is_elsewhere(self, stage: str) -> bool:
        return stage in self._elsewhere

    def of(self, stage: str) -> Path:
        """Where the stage's artifacts are, or will be."""
        if stage not in self._elsewhere:
            return self._build / "store" / stage
        return (self._home_before_a_move(stage) or self._home(stage)) / stage

    def claim(self, stage: str) -> None:
        """Make the stage's folder in the user's, and mark it; that of a project that was moved is taken along.

        Raises:
            BadInput: what has its name is not this project's.
        """
        if stage not in self._elsewhere:
            return
        home, before = self._home(stage), self._home_before_a_move(stage)
        if before:
            write_json(before / MARKER, {"owner": self._owner})
            os.rename(before, home)
        make_readable(home)
        if all(path.name.startswith(".") for path in home.iterdir()):
            write_json(home / MARKER, {"owner": self._owner})
        if owner_of(home) != self._owner:
            raise BadInput(
                f"{home} is not this project's: its {MARKER} names {owner_of(home) or 'no project'}. Move it away, or"
                f" name another folder for the {stage}."
            )

    def own(self, stage: str) -> List[Path]:
        """Every folder of the store's in the stage's folder: artifacts, work, and what is being discarded."""
        folder = self.of(stage)
        if not folder.is_dir() or (stage in self._elsewhere and not self._is_ours(stage, folder.parent)):
            return []
        return sorted(path for path in folder.iterdir() if _is_own(path))

    def of_earlier_versions(self) -> List[Path]:
        """What an earlier Nanoforge, which took the user's folder itself for a stage's, left in it."""
        bases = [base for base in self._elsewhere.values() if base.is_dir()]
        found = [path for base in bases for path in sorted(base.iterdir()) if _is_own(path)]
        return [path for path in found if (path / RECORD).is_file() or not ARTIFACT.fullmatch(path.name)]

    def stages(self) -> List[str]:
        """The stages that have a folder, those of another version of Nanoforge among them."""
        base = self._build / "store"
        inside = [path.name for path in base.iterdir() if STAGE.fullmatch(path.name)] if base.is_dir() else []
        return sorted({*inside, *self._elsewhere})

    def drop_empty(self, stage: str) -> None:
        """Remove the stage's folder, and the project's in the user's, where nothing is in them any more."""
        folder = self.of(stage)
        _remove_if_empty(folder)
        home = folder.parent
        if stage not in self._elsewhere or not home.is_dir():
            return
        names = [path.name for path in home.iterdir()]
        if names == [MARKER] and self._is_ours(stage, home):
            (home / MARKER).unlink()
        _remove_if_empty(home)

    def _home(self, stage: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", self._build.parent.name)[:40]
        return self._elsewhere[stage] / f"nanoforge-{name}-{sha256_text(self._owner)[:10]}"

    def _is_ours(self, stage: str, home: Path) -> bool:
        return owner_of(home) == self._owner or home == self._home_before_a_move(stage)

    def _home_before_a_move(self, stage: str) -> Optional[Path]:
        """The folder that the project marked when it was at another place, where it is no longer."""
        link = self._build / stage
        if not link.is_symlink() or self._home(stage).exists():
            return None
        home = self._elsewhere[stage] / Path(os.readlink(link)).parent.parent.name
        owner = owner_of(home)
        machine, _, project = (owner or "").partition(":")
        here, _, _ = self._owner.partition(":")
        moved = project and machine == here and not (Path(project) / self._build.name).exists()
        return home if moved or owner == self._owner else None


def owner_of(home: Path) -> Optional[str]:
    """Whom a marked folder belongs to, or None where it is not marked."""
    try:
        marker = json.loads(read(str(home / MARKER), MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    owner = marker.get("owner") if isinstance(marker, dict) else None
    return owner if isinstance(owner, str) else None


def _is_own(path: Path) -> bool:
    named = any(pattern.fullmatch(path.name) for pattern in (ARTIFACT, WORK, DISCARDED))
    return named and path.is_dir() and not path.is_symlink()


def discard(folder: Path) -> None:
    """Remove a folder so that no half of it can be taken for an artifact: first aside, then piece by piece."""
    if not DISCARDED.fullmatch(folder.name):
        folder = set_aside(folder)
    shutil.rmtree(folder)


def set_aside(folder: Path) -> Path:
    """Give a folder a name under which it is nothing any more; returns that."""
    aside = next(path for path in _names_aside(folder) if not os.path.lexists(path))
    os.rename(folder, aside)
    fsync_folder(folder.parent)
    return aside


def _names_aside(folder: Path) -> Iterator[Path]:
    return (folder.with_name(f".discarded-{folder.name}-{number}") for number in itertools.count(1))


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
