"""The first minutes: ``init`` for one's own photos, ``demo`` for rendered ones."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from nanoforge.commands.options import StageOptions
from nanoforge.commands.stages import run_stage
from nanoforge.commands.survey_words import SurveyWords
from nanoforge.config.dataset import VocFolders, find_image_sets, find_loose_lists, find_voc_folders
from nanoforge.config.schema import FILE_NAME
from nanoforge.config.template import CPU_SETTINGS, GPU_SETTINGS, detector_toml, toml_text
from nanoforge.console import Console
from nanoforge.containers.connection import answers
from nanoforge.containers.daemon import speaking
from nanoforge.doctor import gpu
from nanoforge.errors import BadInput
from nanoforge.files.atomic import write_bytes, write_text
from nanoforge.files.paths import user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.files.selection import left_out_words
from nanoforge.pipeline.adhoc import AdhocRun, check_no_link, run_adhoc
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import SURVEY
from nanoforge.store.store import Store
from stages.files import readable
from stages.parameters import SurveyParameters

DEMO_FOLDER = "demo"
DEMO_CONFIG = Path(__file__).with_name("demo.toml")


def init(photos: str, folder: str, force: bool, options: StageOptions) -> Path:
    """Write a detector.toml as :func:`write_config` does, and say what comes next; returns the file."""
    target = write_config(photos, folder, force, options)
    console = Console()
    console.say("Next, in that folder: `./run build --trial` tells in minutes whether this data works at all;")
    console.say("`./run build` trains, converts and proves it; `./run build --dry-run` says how.")
    return target


def write_config(photos: str, folder: str, force: bool, options: StageOptions) -> Path:
    """Write a commented detector.toml for a folder of photos into ``folder``; returns the file.

    Raises:
        BadInput: no photos or no XML there, no class in the XML, or a detector.toml exists already.
    """
    console = Console()
    target = target_in(folder)
    check_no_link(target)
    if target.exists() and not force:
        raise BadInput(f"{target} exists already: edit it, or overwrite it with --force.")
    voc = find_voc_folders(user_path(photos).absolute())
    _check_names(voc)
    for left_out in {folder: left_out_words(folder) for folder in voc}.values():
        if left_out:
            console.warn(left_out)
    settings = GPU_SETTINGS if _can_train_on_gpu(console) else CPU_SETTINGS
    survey = _survey(voc, settings["model", "input_size"], console, options)
    words = SurveyWords(survey)
    if not words.objects:
        why = words.worst_problem() or "label the photos first."
        raise BadInput(f"No XML in {voc.annotations} names an object: {why}")
    console.say(f"{survey['pictures']} photos in {voc.photos}, {survey['annotations']} XML files in {voc.annotations}")
    for line in words.lines():
        (console.warn if line.warning else console.say)(line.text)
    lists = find_loose_lists(voc.photos) if survey["split"]["source"] == "hash" else None
    if lists:
        console.warn(
            f"There is a train.txt in {lists}: if it and the lists beside it are a split, keep it by"
            f' dataset.image_sets = {toml_text(_relative(lists, target.parent))} and records.split = "imagesets".'
        )
    values = {
        ("dataset", "photos"): _relative(voc.photos, target.parent),
        ("dataset", "annotations"): _relative(voc.annotations, target.parent),
        **words.settings(),
        **settings,
    }
    write_text(target, detector_toml(values, _notes(settings is GPU_SETTINGS), words.advice()))
    console.good(f"wrote {target}")
    return target


def target_in(folder: str) -> Path:
    """The detector.toml of a folder; empty: of the current one."""
    return user_path(folder or ".").absolute() / FILE_NAME


def _check_names(voc: VocFolders) -> None:
    for folder in voc:
        if readable(str(folder)) != str(folder):
            raise BadInput(f"{folder}: the name is not UTF-8, as detector.toml is: give the folder another name first.")


def _can_train_on_gpu(console: Console) -> bool:
    """Whether there is a GPU that CUDA 9.0 drives, and a Docker daemon that gives it to containers; says why not."""
    found = gpu.gpus()
    daemon = answers() if any(each.usable for each in found) else None
    if daemon:
        with speaking(daemon, "asking what it can do"):
            facts = daemon.facts()
        if "nvidia" in facts.runtimes:
            return True
    if found:
        console.warn(f"{found[0].name} will not be used for training; `./run doctor` says why.")
    return False


def _notes(on_gpu: bool) -> str:
    size = (
        "The sizes below suit a GPU of the GTX 10 kind or better; training runs on it in a container."
        if on_gpu
        else "Training runs on the processor, so the sizes below suit one: a narrow network, about half an hour.\n"
        "The Nano's usual one is ssd_mobilenet_v2, depth_multiplier 1.0, input_size 300, steps 20000 (with a GPU)."
    )
    return f"A detector for the Jetson Nano, made by Nanoforge. Keys with a # stand at their defaults.\n{size}"


def _survey(voc: VocFolders, input_size: int, console: Console, options: StageOptions) -> Dict[str, Any]:
    with scratch_folder(Path(tempfile.gettempdir()), "survey") as folder:
        out = folder / "survey"
        inputs = {"photos": voc.photos, "annotations": voc.annotations}
        image_sets = find_image_sets(voc.photos)
        if image_sets:
            inputs["image_sets"] = image_sets
        parameters = SurveyParameters([input_size, input_size])._asdict()
        run_adhoc(AdhocRun(SURVEY, inputs, parameters), console, out, options.placement())
        survey: Dict[str, Any] = json.loads((out / "survey.json").read_text(encoding="utf-8"))
    return survey


def _relative(path: Path, folder: Path) -> str:
    """The path as it stands in the file: relative where it is inside, so that the folder can move."""
    return str(path.relative_to(folder)) if folder in path.parents else str(path)


def demo(options: StageOptions) -> None:
    """Run the whole chain on pictures that the project renders itself, in ``demo/`` of the current folder."""
    folder = Path.cwd() / DEMO_FOLDER
    config = folder / FILE_NAME
    if not config.exists():
        write_bytes(config, DEMO_CONFIG.read_bytes())
    here = replace(options, config=str(config))
    if run_stage("report", here):
        _show_results(here.project())


def _show_results(project: Project) -> None:
    metrics = {stage: _metrics(project.store, stage) for stage in ("evaluate", "convert", "detect")}
    parity = metrics["convert"]["parity"]
    evaluation = metrics["evaluate"]
    say = project.console.say
    say("")
    project.console.good(
        f"The demo's detector is ready: mAP {evaluation['mAP']:.2f}, mAP@0.5 {evaluation['mAP@0.5']:.2f}"
        " on pictures it never saw."
    )
    say(f"  proof     TensorFlow and the reference interpreter agree on {parity['matched']} of {parity['detections']}")
    say(f"  report    {project.build / 'report' / 'report.html'}")
    say(f"  pictures  {project.build / 'detect' / 'pictures'}")
    say(f"  model     {project.build / 'convert' / 'model.uff'}")
    say("")
    say("Next, with your own photos (JPEG or PNG, with PASCAL VOC XML beside them or under Annotations):")
    say("  ./run init PHOTOS     writes a commented detector.toml for them")
    say("  ./run build --trial   tells in minutes whether they work at all, with a tiny network")
    say("  ./run build           does for them what you just saw")
    say("  ./run bundle          puts what came out into one file that runs it on a Jetson (docs/nano.md)")


def _metrics(store: Store, stage: str) -> Dict[str, Any]:
    artifact = store.latest(stage)
    assert artifact is not None
    return artifact.metrics
