"""Aids: what spares a stage work, and changes nothing in what comes out.

A stage's row names those that it has use for (`Stage.aids`). They are inputs of its job where there are such, and in no
recipe: nothing is stale because of them, and a stage that is given none makes the same. What runs far away gets none:
to send them would take longer than they spare.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Tuple

from nanoforge.errors import BadInput
from nanoforge.pipeline.plan import input_path, made
from nanoforge.pipeline.scheduler import StageWork
from nanoforge.pipeline.stages import ArtifactInput, InputSource, UserFiles
from nanoforge.runners.contract import StageInput
from nanoforge.store.store import ArtifactFolder

COMPARED = ("code", "locks", "image")


def aids(work: StageWork, folder: Path) -> Mapping[str, StageInput]:
    """The aids that there are for a stage; ``folder`` is its work folder, where those are that are made for it."""
    if not work.runner.shares_files:
        return {}
    found = {name: AIDS[name](work, folder) for name in work.stage.aids}
    return {name: aid for name, aid in found.items() if aid}


def earlier_artifact(work: StageWork) -> Optional[ArtifactFolder]:
    """The newest whole artifact that the same code made in the same environment, one of the same parameters before
    others."""
    recipe = work.status.recipe or {}
    store, notes, name = work.project.store, work.project.notes, work.stage.name
    same = [one for one in store.artifacts(name) if all(one.recipe.get(part) == recipe.get(part) for part in COMPARED)]
    same.sort(key=lambda one: (one.recipe["parameters"] == recipe["parameters"], one.record["started"]), reverse=True)
    for artifact in same:
        seen = notes.verification(name, artifact.fingerprint)
        with suppress(OSError):
            if (seen is None or seen.sound) and not store.damage(artifact, thorough=False):
                return artifact
    return None


def _earlier(work: StageWork, _folder: Path) -> Optional[StageInput]:
    artifact = earlier_artifact(work)
    if artifact is None:
        return None
    work.project.console.say(f"  what did not change may be taken from {artifact.folder}")
    return StageInput(artifact.folder, artifact.digest)


def _digests(work: StageWork, folder: Path) -> Optional[StageInput]:
    """A file of JSON, input name -> path in its folder -> SHA-256, as the host knows them; of a million files, too."""
    path = folder / "digests.json"
    with open(path, "w", encoding="ascii") as stream:
        stream.write("{")
        for number, (name, source) in enumerate(work.stage.inputs(work.project.context).items()):
            stream.write(f"{',' if number else ''}{json.dumps(name)}: {{")
            for line, (file, digest) in enumerate(_files(work, source, name)):
                stream.write(f"{',' if line else ''}\n{json.dumps(file)}: {json.dumps(digest)}")
            stream.write("}")
        stream.write("}\n")
    path.chmod(0o644)  # whatever the umask says, a container's user reads it
    return StageInput(path)


def _files(work: StageWork, source: InputSource, name: str) -> Iterator[Tuple[str, str]]:
    if isinstance(source, UserFiles) and not source.digest:
        try:
            yield from work.project.digests.listing(source.path, source.selection).files()
        except OSError as error:
            raise BadInput(f"The {name} cannot be read: {error.filename}: {error.strerror}.") from None
    elif isinstance(source, ArtifactInput):
        artifact = made(work.before[source.stage])
        inside = os.path.relpath(input_path(work.project, source, work.before), artifact.folder)
        for path, entry in artifact.record["files"].items():
            below = os.path.relpath(path, inside)
            if not below.startswith(".."):
                yield below, entry["sha256"]


AIDS: Mapping[str, Callable[[StageWork, Path], Optional[StageInput]]] = {"earlier": _earlier, "digests": _digests}
"""Name of the input -> what makes it, for a stage and its work folder; None where there is none."""
