"""What the inputs and parameters of a project's stages depend on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

from nanoforge.config.checkpoints import StartCheckpoint
from nanoforge.config.dataset import find_annotations, find_image_sets
from nanoforge.config.schema import Config
from nanoforge.files.paths import user_path


@dataclass(frozen=True)
class StageContext:
    """A project's config, and the folder of its detector.toml.

    What is looked for beside the photos is looked for once: that takes a look at each of a million names.
    """

    config: Config
    folder: Path
    start: Optional[StartCheckpoint] = None

    @cached_property
    def annotations(self) -> Path:
        """The folder of the XML files."""
        stated, photos = self.config.dataset.annotations, self.path(self.config.dataset.photos)
        return self.path(stated) if stated else find_annotations(photos)

    @cached_property
    def image_sets(self) -> Optional[Path]:
        """The folder of the lists of a split, where there is one."""
        stated, photos = self.config.dataset.image_sets, self.path(self.config.dataset.photos)
        return self.path(stated) if stated else find_image_sets(photos)

    def path(self, text: str) -> Path:
        """A path of the config, relative to the folder of detector.toml."""
        return (self.folder / user_path(text)).absolute()
