"""What the options that all stage commands have in common say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import msgspec

from nanoforge.config.reader import load
from nanoforge.config.schema import Config, RunnerSection
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.pipeline.project import BUILD, Project, find_config
from nanoforge.pipeline.stages import needing_a_jetson
from nanoforge.runners.placement import Placement, PlacementOverride


@dataclass(frozen=True)
class StageOptions:
    """What the options that all stage commands have in common say.

    ``host`` is for the command's own stage, and for those before it that need a Jetson. No option says what ``build``
    is: it is another folder where a command is not about the project's own artifacts.
    """

    config: str = ""
    overrides: Sequence[str] = ()
    dry_run: bool = False
    runner: str = ""
    host: str = ""
    build: Path = BUILD

    def project(self, stage: str = "") -> Project:
        """The project that ``--config`` names, or that of the current folder."""
        there = (stage, *needing_a_jetson()) if self.host and stage else ()
        override = PlacementOverride(self.runner, dict.fromkeys(there, self.host))
        return Project(find_config(self.config), self.overrides, Console(), override, self.build)

    def placement(self, stage: str = "") -> Placement:
        """Where a program runs on files that belong to no project, and what it may use: it may run beside a training.

        Args:
            stage: that ``--host`` is for, which detector.toml has to know; empty: it runs here.

        Raises:
            BadInput: on a host although it runs here, or with overrides of other things.
        """
        if self.host and not stage:
            raise BadInput("--host is for stages of a project: leave it out together with --graph.")
        hosts = load(find_config(self.config), self.overrides).hosts if self.host else {}
        override = PlacementOverride(self.runner, {stage: self.host} if self.host else {})
        return Placement(Config(runner=self._runner_section(), hosts=hosts), Console(), override)

    def _runner_section(self) -> RunnerSection:
        """What [runner] says, of the file that ``--config`` names or that of the current folder, if there is one."""
        elsewhere = [text for text in self.overrides if not text.strip().startswith("runner.")]
        if elsewhere:
            raise BadInput(f"--set {elsewhere[0]}: without a project, as with --graph, only runner.* can be set.")
        path = find_config(self.config)
        if not path.is_file():
            if self.overrides:
                raise BadInput(f"--set {self.overrides[0]}: there is no detector.toml here; name one with --config.")
            return RunnerSection()
        try:
            section = load(path, self.overrides).runner
        except BadInput as error:
            if self.config or self.overrides:
                raise
            Console().warn(f"what {path} says of runner.cpus and memory_mb is not known here: {error}")
            return RunnerSection()
        # Where single stages of the project run is about its own files.
        return msgspec.structs.replace(section, stages={})

    def also(self, *overrides: str) -> StageOptions:
        """The same, with more overrides."""
        return replace(self, overrides=[*self.overrides, *overrides])


def shown(path: Path) -> str:
    """A path as short as it can be: relative where it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
