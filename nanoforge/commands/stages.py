"""The commands that make one stage's artifact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Optional, Sequence

from nanoforge.commands.options import StageOptions, shown
from nanoforge.config.template import toml_text
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.paths import user_path
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import FRESH, UNKNOWN, Status, Statuses, plan
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import STAGES


def run_stage(stage: str, options: StageOptions) -> Optional[Path]:
    """Make a stage's artifact with all that it needs, or say what would run; returns its folder."""
    project = options.project(stage)
    if options.dry_run:
        show_plan(project, plan(project, stage))
        return None
    folder = build(project, stage).folder
    project.console.say(f"{stage}: {shown(project.build / stage)}")
    return folder


def build_all(options: StageOptions) -> None:
    """Make the report, and so everything before it, or say what would run."""
    run_stage("report", options)


def show_plan(project: Project, statuses: Sequence[Status]) -> None:
    """One line per stage: what would happen, and why."""
    for status in statuses:
        verb = {FRESH: "fresh, not run", UNKNOWN: "may run"}.get(status.state, "would run")
        reasons = f": {'; '.join(status.reasons)}" if status.reasons else ""
        project.console.say(f"{status.stage.name:12} {verb}{reasons}")


def detect(media: str, options: StageOptions) -> None:
    """Detect on the media that the user named, relative to the current folder, or on the validation pictures."""
    path = user_path(media).absolute()
    if media and not path.exists():
        raise BadInput(f"There is no {path}: name a picture, a folder of pictures or a video.")
    if media and not path.is_file() and not path.is_dir():
        raise BadInput(f"{path} is neither a file nor a folder: name a picture, a folder of pictures or a video.")
    run_stage("detect", options.also(f"detect.media={toml_text(str(path))}") if media else options)


def with_consents(options: StageOptions, accept_losses: bool, train_anyway: bool = False) -> StageOptions:
    """What `--accept-losses` and `--train-anyway` add."""
    given = {"records.accept_losses=true": accept_losses, "train.anyway=true": train_anyway}
    return options.also(*(consent for consent, is_given in given.items() if is_given))


def with_backend(backend: str, options: StageOptions) -> StageOptions:
    """What `--backend` adds."""
    return options.also(f"detect.backend={toml_text(backend)}") if backend else options


def with_precision(precision: str, options: StageOptions) -> StageOptions:
    """What `--precision` adds."""
    return options.also(f"build_engine.precision={toml_text(precision)}") if precision else options


def with_checkpoint(section: str, checkpoint: str, options: StageOptions) -> StageOptions:
    """What `--checkpoint` adds."""
    return options.also(f"{section}.checkpoint={toml_text(checkpoint)}") if checkpoint else options


def with_format(to: str, options: StageOptions) -> StageOptions:
    """What `--to` adds."""
    return options.also(f"convert.to={toml_text(to)}") if to else options


def with_nvidia(package: str, options: StageOptions) -> StageOptions:
    """What `--nvidia-uff` adds; the path is relative to the current folder."""
    path = user_path(package).absolute()
    if package and not path.exists():
        raise BadInput(f"There is no {path}: name the folder or wheel of NVIDIA's package uff.")
    return options.also(f"convert.nvidia_uff={toml_text(str(path))}") if package else options


def preview_running(options: StageOptions) -> Path:
    """Pictures from a training that has not ended; its checkpoints so far are read beside it.

    Raises:
        BadInput: on a host, where these checkpoints are not.
    """
    if options.host:
        raise BadInput("preview --running reads the checkpoints here, beside the training: leave out --host.")
    project = options.project()
    statuses: Statuses = {status.stage.name: status for status in plan(project, "train")}
    if statuses["train"].recipe is None:
        raise StageFailed(f"Which training is this configuration's is not known: {statuses['train'].reasons[-1]}.")
    scratch = project.store.work_folder("train", statuses["train"].fingerprint) / "scratch"
    if not scratch.is_dir():
        raise StageFailed(
            "There is no unfinished training with this configuration; without --running the finished one is shown."
        )
    records = statuses["records"].artifact
    assert records is not None
    preview = STAGES["preview"]
    out = project.build / "running-preview"
    shutil.rmtree(out, ignore_errors=True)
    inputs = {"records": records.folder, "train": scratch}
    work = AdhocRun(preview, inputs, preview.parameters(project.context))
    run_adhoc(work, project.console, out, project.placement)
    return out
