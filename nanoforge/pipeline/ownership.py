"""Folders that the user names for artifacts: they must not be where the user's own files are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Iterator, Tuple

from nanoforge.errors import BadInput
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import TABLE, UserFiles

# What a folder for artifacts must not even lie above: photos are looked for in whole folders.
WIDE = ("dataset.photos", "dataset.annotations", "build")


def folders_elsewhere(context: StageContext, build: Path) -> Dict[str, Path]:
    """Stage name -> the user's folder for its artifacts, where they are not to be in the build folder.

    Raises:
        BadInput: such a folder is no folder, or overlaps with what the user gives or with the build folder.
    """
    stated = {stage.name: stage.folder(context) for stage in TABLE}
    folders = {name: folder for name, folder in stated.items() if folder}
    for name, folder in folders.items():
        if os.path.lexists(folder) and not folder.is_dir():
            raise BadInput(f"{name}.folder = {folder} is no folder: name one, or a new one.")
        for what, path in _taken(context, build):
            how = _overlap(folder, what, path)
            if how:
                whose = "the build folder" if what == "build" else what
                beside = build.parent.with_name(f"{build.parent.name}-{name}")
                raise BadInput(
                    f"{name}.folder = {folder} {how} {whose} ({path}): name a folder of its own, such as {beside}."
                )
    return folders


def _taken(context: StageContext, build: Path) -> Iterator[Tuple[str, Path]]:
    yield "build", build
    for stage in TABLE:
        for source in stage.inputs(context).values():
            stated = isinstance(source, UserFiles) and (context.config.dataset.photos or "dataset" not in source.key)
            if isinstance(source, UserFiles) and stated:
                yield source.key, source.path


def _overlap(folder: Path, what: str, path: Path) -> str:
    """How the folder lies to something that is not to be touched; empty where it may lie so."""
    inner, outer = _parts(folder), _parts(path)
    inside = inner[: len(outer)] == outer
    above = outer[: len(inner)] == inner and what in WIDE
    if not inside and not above:
        return ""
    return "is" if inner == outer else "lies in" if inside else "holds"


def _parts(path: Path) -> Tuple[str, ...]:
    return Path(os.path.realpath(path)).parts
