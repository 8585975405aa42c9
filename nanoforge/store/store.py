"""The store: artifacts are immutable folders under their stage's fingerprint, published by one atomic rename.

``build/store/<stage>/<fingerprint>/`` holds the stage's files, ``record.json`` (how the artifact came to be, and the
digest of every file) and ``provenance.json`` (the same for supply-chain tools). A crash leaves the old artifact or
none, never half of one.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from nanoforge.files.atomic import fsync_tree
from nanoforge.files.digests import listing_digest, sha256_file
from nanoforge.files.selection import FileStat, walk
from nanoforge.store.provenance import statement

RECORD = "record.json"
PROVENANCE = "provenance.json"
RECORD_FORMAT = 1
FOLDER_DIGITS = 20


class ArtifactFolder(NamedTuple):
    """An artifact in the store: where it is, and its record."""

    folder: Path
    record: Dict[str, Any]

    @property
    def digest(self) -> str:
        """What makes later stages stale: the contents, not the way to them."""
        return str(self.record["artifact_digest"])

    @property
    def recipe(self) -> Dict[str, Any]:
        return dict(self.record["recipe"])

    @property
    def metrics(self) -> Dict[str, Any]:
        return dict(self.record["metrics"])


class Store:
    """The artifacts of one project.

    Args:
        build: the project's build folder.
        elsewhere: stage name -> folder for its artifacts, where they are not to be under ``build``.
    """

    def __init__(self, build: Path, elsewhere: Mapping[str, Path]) -> None:
        self.build = build
        self._elsewhere = elsewhere

    def stage_folder(self, stage: str) -> Path:
        return self._elsewhere.get(stage, self.build / "store" / stage)

    def work_folder(self, stage: str, fingerprint: str) -> Path:
        """Where the stage works before its artifact is published; on the same disk, so that a rename is enough."""
        return self.stage_folder(stage) / f"work-{fingerprint[:FOLDER_DIGITS]}"

    def find(self, stage: str, fingerprint: str) -> Optional[ArtifactFolder]:
        """The artifact under ``fingerprint``, or None."""
        return self._read(self.stage_folder(stage) / fingerprint[:FOLDER_DIGITS])

    def latest(self, stage: str) -> Optional[ArtifactFolder]:
        """The artifact that the stage made or used last, or None."""
        link = self.build / stage
        return self._read(Path(os.path.realpath(link))) if link.is_symlink() else None

    def use(self, stage: str, artifact: ArtifactFolder) -> None:
        """Point ``build/<stage>`` to the artifact."""
        link = self.build / stage
        target = os.path.relpath(artifact.folder, self.build) if stage not in self._elsewhere else str(artifact.folder)
        if link.is_symlink() and os.readlink(link) == target:
            return
        fresh = self.build / f".{stage}.link"
        fresh.unlink() if fresh.is_symlink() else None
        fresh.symlink_to(target)
        os.replace(fresh, link)

    def publish(self, output: Path, stage: str, fingerprint: str, record: Mapping[str, Any]) -> ArtifactFolder:
        """Make ``output`` the artifact under ``fingerprint``; its files become read-only.

        Returns:
            The artifact, its record completed with the files' digests.
        """
        files = {stat.path: _FileEntry.of(stat, sha256_file(output / stat.path)) for stat in walk(output)}
        for path in files:
            os.chmod(output / path, 0o444)
        complete = {
            **record,
            "format": RECORD_FORMAT,
            "stage": stage,
            "fingerprint": fingerprint,
            "artifact_digest": listing_digest({path: entry.sha256 for path, entry in files.items()}),
            "files": {path: entry._asdict() for path, entry in files.items()},
        }
        (output / RECORD).write_text(json.dumps(complete, indent=1, sort_keys=True), encoding="utf-8")
        (output / PROVENANCE).write_text(json.dumps(statement(complete), indent=1, sort_keys=True), encoding="utf-8")
        _open_to_readers(output)
        fsync_tree(output)
        target = self.stage_folder(stage) / fingerprint[:FOLDER_DIGITS]
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            discard(target)
        os.rename(output, target)
        return ArtifactFolder(target, complete)

    def damage(self, artifact: ArtifactFolder, thorough: bool) -> Optional[str]:
        """What is wrong with the artifact's files, or None.

        A file whose size or mtime differs from the record is read again; ``thorough`` reads every file.
        """
        seen = {stat.path: stat for stat in walk(artifact.folder) if stat.path not in (RECORD, PROVENANCE)}
        for path, entry in artifact.record["files"].items():
            stat = seen.pop(path, None)
            if stat is None:
                return f"{path} is missing"
            touched = (stat.size, stat.mtime_ns) != (entry["size"], entry["mtime_ns"])
            if (touched or thorough) and sha256_file(artifact.folder / path) != entry["sha256"]:
                return f"{path} is not what was published"
        return f"{next(iter(seen))} does not belong to it" if seen else None

    def artifacts(self) -> Iterator[ArtifactFolder]:
        """Every artifact in the store."""
        for folder in self._artifact_folders():
            artifact = self._read(folder)
            if artifact:
                yield artifact

    def leftovers(self) -> List[Path]:
        """Work folders of stages that did not finish, and folders without a record."""
        return [
            folder
            for stage in self._stage_folders()
            for folder in sorted(stage.iterdir())
            if folder.is_dir() and not self._read(folder)
        ]

    def _stage_folders(self) -> List[Path]:
        base = self.build / "store"
        inside = sorted(base.iterdir()) if base.is_dir() else []
        return [folder for folder in (*inside, *self._elsewhere.values()) if folder.is_dir()]

    def _artifact_folders(self) -> Iterator[Path]:
        for stage in self._stage_folders():
            yield from sorted(folder for folder in stage.iterdir() if (folder / RECORD).is_file())

    @staticmethod
    def _read(folder: Path) -> Optional[ArtifactFolder]:
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            return (
                ArtifactFolder(folder, record)
                if record["format"] == RECORD_FORMAT and record["files"] is not None
                else None
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _open_to_readers(output: Path) -> None:
    """Whatever the umask: a later stage may run as another user, and an artifact's folder is what it is given."""
    for folder, _, _ in os.walk(output):
        os.chmod(folder, 0o755)
    for name in (RECORD, PROVENANCE):
        os.chmod(output / name, 0o644)


class _FileEntry(NamedTuple):
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, stat: FileStat, sha256: str) -> _FileEntry:
        return cls(stat.size, stat.mtime_ns, sha256)


def discard(folder: Path) -> None:
    """Remove a folder so that no half of it can be taken for an artifact: first aside, then piece by piece."""
    aside = folder.with_name(f".discarded-{folder.name}-{os.getpid()}")
    os.rename(folder, aside)
    shutil.rmtree(aside)
