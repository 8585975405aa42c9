"""``build --trial``: the whole chain on a hundred pictures with a tiny network: does this data work at all?

It has a build folder of its own in the project's, so that it takes the place of no artifact, may run beside a build,
and goes on where it was interrupted.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from nanoforge.commands import start
from nanoforge.commands.options import StageOptions, shown
from nanoforge.commands.stages import run_stage
from nanoforge.commands.trial_words import TrialFindings, TrialWords
from nanoforge.config.dataset import find_voc_folders
from nanoforge.config.reader import load
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.files.paths import user_path
from nanoforge.pipeline.project import BUILD, Project
from nanoforge.store.store import Store
from stages.files import read

FOLDER = BUILD / "trial"
PICTURES = 100
# What is otherwise than detector.toml says. All that is about photos, boxes and findings stays as it is; only that many
# losses do not end a trial, as they are what it is to tell.
SETTINGS = (
    f"records.limit={PICTURES}",
    "records.image_size=0",
    'records.folder=""',
    "records.accept_losses=true",
    'model.architecture="ssd_mobilenet_v1"',
    "model.depth_multiplier=0.25",
    "model.input_size=160",
    'model.checkpoint=""',
    'model.pipeline_config=""',
    "train.steps=250",
    "train.batch_size=16",
    "train.learning_rate=0.003",
    "train.evaluate_every=0",
    'train.augmentation=["random_horizontal_flip"]',
    'evaluate.checkpoint="last"',
    'evaluate.split="validation"',
    'export.checkpoint="last"',
    'detect.media=""',
    'detect.backend="reference"',
    "detect.score_threshold=0.3",
)


def trial(options: StageOptions) -> None:
    """Try the project's data, or say what would run; what was found is told in words.

    Raises:
        NanoforgeError: a stage failed, for the reason that a build of the same data would fail.
    """
    here = in_a_trial(options)
    project = here.project()
    project.console.say(
        f"A trial: at most {PICTURES} pictures, a tiny network; {shown(project.build)} is its own folder."
    )
    if run_stage("report", here):
        _tell(project)


def init_and_try(photos: str, folder: str, force: bool, options: StageOptions) -> None:
    """Write a detector.toml for the photos, unless there is one for them already, and try it.

    Raises:
        BadInput: as `init`; or the detector.toml that is there is for other photos.
        NanoforgeError: as :func:`trial`.
    """
    target = start.target_in(folder)
    if target.exists() and not force:
        _check_photos(target, photos)
        Console().say(f"{target} is there, and stays as it is.")
    else:
        start.write_config(photos, folder, force, options)
    trial(replace(options, config=str(target)))


def _check_photos(target: Path, photos: str) -> None:
    """A detector.toml is tried for the photos that it is for."""
    stated = load(target).dataset.photos
    theirs = (target.parent / user_path(stated)).resolve()
    if theirs != find_voc_folders(user_path(photos).absolute()).photos.resolve():
        raise BadInput(
            f"{target} is there and names other photos, {theirs}: try these by `./run build --trial` in its folder,"
            " overwrite it with --force, or name another folder with --folder."
        )


def in_a_trial(options: StageOptions) -> StageOptions:
    """The options of the project's trial; what the user overrides wins."""
    return replace(options, overrides=[*SETTINGS, *options.overrides], build=FOLDER)


def _tell(project: Project) -> None:
    """Say what the artifacts of a trial hold."""
    words = TrialWords(_findings(project.store))
    console = project.console
    for line in words.lines():
        (console.warn if line.warning else console.say)(line.text)
    console.say(f"  report      {project.build / 'report' / 'report.html'}")
    console.say(f"  pictures    {project.build / 'detect' / 'pictures'} (white dashes: what is labelled)")
    console.say("")
    (console.good if words.is_good else console.warn)(words.verdict())
    console.say("Next: `./run build` does the same with all pictures and the network of detector.toml.")


def _findings(store: Store) -> TrialFindings:
    def document(stage: str, name: str) -> Dict[str, Any]:
        artifact = store.latest(stage)
        assert artifact is not None
        found: Dict[str, Any] = json.loads(read(str(artifact.folder / name)))
        return found

    return TrialFindings(
        dataset=document("records", "dataset.json"),
        history=document("train", "history.json")["training"],
        evaluation=document("evaluate", "evaluation.json"),
        detections=document("detect", "detections.json"),
        parity=document("convert", "parity.json"),
    )
