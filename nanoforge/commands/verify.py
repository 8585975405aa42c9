"""`verify`: every byte of every artifact that is in use is compared with what was published."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from nanoforge.commands.options import StageOptions
from nanoforge.console import Bar, print_json
from nanoforge.errors import StageFailed
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import TABLE, Stage, stage_called
from nanoforge.store.store import ArtifactFolder, UnusableArtifact


class StageVerdict(NamedTuple):
    """What is wrong with the artifact of a stage; nothing, where it is sound."""

    stage: Stage
    folder: Path
    damages: List[str]

    @property
    def sentence(self) -> str:
        command = "build" if self.stage.name == "render" else self.stage.name
        return f"{self.folder}: {'; '.join(self.damages)}; `./run {command}` makes it again."


def verify(config: str, stage: str, as_json: bool) -> None:
    """Read the artifacts that ``build/<stage>`` lead to, of one stage or of all, and say which are damaged.

    Raises:
        StageFailed: one is; builds make it again from now on.
    """
    project = StageOptions(config).project()
    chosen = [stage_called(stage)] if stage else TABLE
    found = [verdict for verdict in (_verdict(project, each) for each in chosen) if verdict]
    damaged = [verdict for verdict in found if verdict.damages]
    if as_json:
        print_json(_as_json(found))
    if damaged:
        raise StageFailed("Damaged: " + " ".join(verdict.sentence for verdict in damaged))
    number = "1 artifact is" if len(found) == 1 else f"{len(found)} artifacts are"
    project.console.good(f"{number} as published")


def _verdict(project: Project, stage: Stage) -> Optional[StageVerdict]:
    found = project.store.linked(stage.name)
    if found is None:
        return None
    if isinstance(found, UnusableArtifact):
        return StageVerdict(stage, found.folder, [found.why.replace("is damaged: ", "", 1)])
    with project.console.bar(f"verify {stage.name}") as bar:
        damages = list(project.store.damages(found, thorough=True, on_read=_progress(bar, found)))
    project.notes.note_verification(stage.name, found.fingerprint, not damages)
    return StageVerdict(stage, found.folder, damages)


def _progress(bar: Bar, artifact: ArtifactFolder) -> Any:
    total = sum(entry["size"] for entry in artifact.record["files"].values())
    done = 0

    def on_read(path: str, size: int) -> None:
        nonlocal done
        done += size
        bar.update(round(done / 2**20, 1), round(total / 2**20, 1), f"MiB {path}")

    return on_read


def _as_json(found: List[StageVerdict]) -> Dict[str, Any]:
    return {
        "stages": [
            {"name": verdict.stage.name, "artifact": str(verdict.folder), "damages": verdict.damages}
            for verdict in found
        ]
    }
