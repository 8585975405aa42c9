"""The store: artifacts are immutable folders under their stage's fingerprint, published by one atomic rename.

``build/store/<stage>/<fingerprint>/`` holds the stage's files, ``record.json`` (how the artifact came to be, and the
digest of every file) and ``provenance.json`` (the same for supply-chain tools). A crash leaves the old artifact or
none, never half of one. An artifact is believed only where its record, its place and its files agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

from nanoforge.errors import BadInput
from nanoforge.files.atomic import fsync_folder, fsync_tree, make_readable
from nanoforge.files.digests import DigestCache, sha256_file
from nanoforge.files.selection import FileStat, walk
from nanoforge.store.folders import ARTIFACT, DISCARDED, StageFolders, discard, set_aside
from nanoforge.store.record import (
    FOLDER_DIGITS,
    PROVENANCE,
    RECORD,
    UnusableRecord,
    complete,
    provenance_text,
    read_record,
)
from stages.files import read

# The provenance says what the record says in more words, each file's path and digest among them.
PROVENANCE_TO_RECORD, SPARE = 4, 1 << 20


class ArtifactFolder(NamedTuple):
    """An artifact in the store: where it is, and its record."""

    folder: Path
    record: Dict[str, Any]

    @property
    def digest(self) -> str:
        """What makes later stages stale: the contents, not the way to them."""
        return str(self.record["artifact_digest"])

    @property
    def fingerprint(self) -> str:
        return str(self.record["fingerprint"])

    @property
    def recipe(self) -> Dict[str, Any]:
        return dict(self.record["recipe"])

    @property
    def metrics(self) -> Dict[str, Any]:
        return dict(self.record["metrics"])


class UnusableArtifact(NamedTuple):
    """What lies at an artifact's place and is not believed; ``why`` is a clause that follows its path."""

    folder: Path
    why: str


Found = Union[ArtifactFolder, UnusableArtifact, None]


class Store:
    """The artifacts of one project.

    Args:
        build: the project's build folder.
        digests: remembers the digests of artifacts' files whose times are no longer those of the record.
        folders: where each stage's artifacts are.
    """

    def __init__(self, build: Path, digests: DigestCache, folders: StageFolders) -> None:
        self.build = build
        self.folders = folders
        self._digests = digests

    def prepare(self, stages: Sequence[str]) -> None:
        """Before these stages are made: claim their folders, and finish what an interrupted command was removing.

        Raises:
            BadInput: a folder, or the name of a link, is taken by something that is not the store's.
        """
        for stage in stages:
            self.folders.claim(stage)
            self._check_link(stage)
            for folder in self.folders.own(stage):
                if DISCARDED.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)

    def work_folder(self, stage: str, fingerprint: str) -> Path:
        """Where the stage works before its artifact is published; on the same disk, so that a rename is enough."""
        return self.folders.of(stage) / f"work-{fingerprint[:FOLDER_DIGITS]}"

    def drop_work(self, stage: str, fingerprint: str) -> None:
        """Remove the stage's work folder, if there is one; its artifact is published, so this fails no more."""
        folder = self.work_folder(stage, fingerprint)
        if folder.is_dir():
            with suppress(OSError):
                discard(folder)

    def find(self, stage: str, fingerprint: str) -> Optional[ArtifactFolder]:
        """The artifact under ``fingerprint``, or None."""
        found = self._look(stage, self.folders.of(stage) / fingerprint[:FOLDER_DIGITS])
        return found if isinstance(found, ArtifactFolder) and found.fingerprint == fingerprint else None

    def unusable(self, stage: str, fingerprint: str) -> Optional[UnusableArtifact]:
        """What lies under ``fingerprint`` although :meth:`find` does not believe it, or None."""
        found = self._look(stage, self.folders.of(stage) / fingerprint[:FOLDER_DIGITS])
        return found if isinstance(found, UnusableArtifact) else None

    def artifacts(self, stage: str) -> List[ArtifactFolder]:
        """Every artifact of the stage that is believed."""
        found = [self._look(stage, folder) for folder in self.folders.own(stage)]
        return [one for one in found if isinstance(one, ArtifactFolder)]

    def latest(self, stage: str) -> Optional[ArtifactFolder]:
        """The artifact that the stage made or used last, or None."""
        found = self.linked(stage)
        return found if isinstance(found, ArtifactFolder) else None

    def linked(self, stage: str) -> Found:
        """What ``build/<stage>`` leads to: an artifact, an unusable one, or None."""
        link = self.build / stage
        return self._look(stage, Path(os.path.realpath(link))) if link.is_symlink() else None

    def use(self, stage: str, artifact: ArtifactFolder) -> None:
        """Point ``build/<stage>`` to the artifact.

        Raises:
            BadInput: something else than a link has that name.
        """
        self._check_link(stage)
        link = self.build / stage
        outside = self.folders.is_elsewhere(stage)
        target = str(artifact.folder) if outside else os.path.relpath(artifact.folder, self.build)
        if link.is_symlink() and os.readlink(link) == target:
            return
        make_readable(self.build)
        fresh = self._fresh_link(stage)
        fresh.unlink() if fresh.is_symlink() else None
        fresh.symlink_to(target)
        os.replace(fresh, link)
        fsync_folder(self.build)

    def forget_lost(self, stage: str) -> None:
        """Remove the link to an artifact that is no longer there, and one that was left half made."""
        link, fresh = self.build / stage, self._fresh_link(stage)
        if link.is_symlink() and not link.exists():
            link.unlink()
        if fresh.is_symlink():
            fresh.unlink()

    def publish(self, output: Path, record: Mapping[str, Any]) -> ArtifactFolder:
        """Make ``output`` the artifact of the record's recipe; its files become read-only.

        What lies at its place, a damaged artifact, is there until then.

        Returns:
            The artifact, its record completed with the files' digests.
        """
        _open_to_readers(output)
        # The times are those after the last change of mode, or the quick check would find every file touched.
        files = {stat.path: _file_entry(stat, sha256_file(output / stat.path)) for stat in walk(output)}
        whole = complete(record, files)
        for name, text in ((RECORD, json.dumps(whole, indent=1, sort_keys=True)), (PROVENANCE, provenance_text(whole))):
            (output / name).write_text(text, encoding="utf-8")
            os.chmod(output / name, 0o444)
        fsync_tree(output)
        target = self.folders.of(whole["stage"]) / whole["fingerprint"][:FOLDER_DIGITS]
        make_readable(target.parent)
        replaced = set_aside(target) if target.is_dir() else None
        os.rename(output, target)
        for folder in (target.parent, target.parent.parent):
            fsync_folder(folder)
        if replaced:
            shutil.rmtree(replaced, ignore_errors=True)
        return ArtifactFolder(target, whole)

    def damage(self, artifact: ArtifactFolder, thorough: bool) -> Optional[str]:
        """The first of :meth:`damages`, or None."""
        return next(self.damages(artifact, thorough), None)

    def damages(
        self, artifact: ArtifactFolder, thorough: bool, on_read: Callable[[str, int], None] = lambda _path, _size: None
    ) -> Iterator[str]:
        """What is wrong with the artifact's files.

        A file whose size, mtime or ctime differs from the record is read again, once; ``thorough`` reads every file.

        Args:
            on_read: told path and bytes of each file that was compared.
        """
        folder, files = artifact.folder, artifact.record["files"]
        seen = {stat.path: stat for stat in walk(folder) if stat.path not in (RECORD, PROVENANCE)}
        right_size = [stat for stat in seen.values() if stat.path in files and stat.size == files[stat.path]["size"]]
        touched = [stat for stat in right_size if not _is_untouched(stat, files[stat.path])]
        again = {} if thorough else self._digests.file_digests(folder, touched)
        for path, entry in files.items():
            if path not in seen:
                yield f"{path} is missing"
                continue
            if seen[path].size != entry["size"]:  # not read: it may be endless
                yield f"{path} is not what was published"
                continue
            found = sha256_file(folder / path) if thorough else again.get(path, entry["sha256"])
            if found != entry["sha256"]:
                yield f"{path} is not what was published"
            on_read(path, entry["size"])
        yield from (f"{path} does not belong to it" for path in seen if path not in files)
        if not _agrees(folder, artifact.record["provenance_digest"]):
            yield f"{PROVENANCE} is not what was written"

    def _fresh_link(self, stage: str) -> Path:
        return self.build / f".{stage}.link"

    def _check_link(self, stage: str) -> None:
        link = self.build / stage
        if os.path.lexists(link) and not link.is_symlink():
            raise BadInput(
                f"{link} is no link of Nanoforge's: it stands where the link to the {stage} artifact belongs. Move it"
                " away and run the same command again."
            )

    @staticmethod
    def _look(stage: str, folder: Path) -> Found:
        """The artifact in ``folder``, an unusable one, or None where none was ever published."""
        if not ARTIFACT.fullmatch(folder.name) or not folder.is_dir():
            return None
        try:
            return ArtifactFolder(folder, read_record(folder, stage))
        except UnusableRecord as error:
            return UnusableArtifact(folder, str(error))


def _open_to_readers(output: Path) -> None:
    """Whatever the umask: a later stage may run as another user, and an artifact's folder is what it is given."""
    for folder, _, _ in os.walk(output):
        os.chmod(folder, 0o755)
    for stat in walk(output):
        os.chmod(output / stat.path, 0o444)


def _file_entry(stat: FileStat, sha256: str) -> Dict[str, Any]:
    return {"size": stat.size, "mtime_ns": stat.mtime_ns, "ctime_ns": stat.ctime_ns, "sha256": sha256}


def _is_untouched(stat: FileStat, entry: Mapping[str, Any]) -> bool:
    return all(getattr(stat, name) == entry[name] for name in ("size", "mtime_ns", "ctime_ns"))


def _agrees(folder: Path, digest: str) -> bool:
    """Whether the provenance is that of the record; one that is far too long is not read."""
    try:
        most = PROVENANCE_TO_RECORD * (folder / RECORD).stat().st_size + SPARE
        return hashlib.sha256(read(str(folder / PROVENANCE), most)).hexdigest() == digest
    except OSError:
        return False
