"""What the options that all stage commands have in common say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

from nanoforge.config.schema import Config
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.pipeline.project import Project, find_config
from nanoforge.runners.placement import Placement, PlacementOverride


@dataclass(frozen=True)
class StageOptions:
    """What the options that all stage commands have in common say; ``host`` is for the command's own stage."""

    config: str = ""
    overrides: Sequence[str] = ()
    dry_run: bool = False
    runner: str = ""
    host: str = ""

    def project(self, stage: str = "") -> Project:
        """The project that ``--config`` names, or that of the current folder."""
        override = PlacementOverride(self.runner, {stage: self.host} if self.host and stage else {})
        return Project(find_config(self.config), self.overrides, Console(), override)

    def placement(self) -> Placement:
        """Where a stage runs that belongs to no project.

        Raises:
            BadInput: on a host, which only a project's detector.toml knows.
        """
        if self.host:
            raise BadInput("--host is for stages of a project: leave it out together with --graph.")
        return Placement(Config(), Console(), PlacementOverride(self.runner))

    def also(self, *overrides: str) -> StageOptions:
        """The same, with more overrides."""
        return replace(self, overrides=[*self.overrides, *overrides])


def shown(path: Path) -> str:
    """A path as short as it can be: relative where it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
