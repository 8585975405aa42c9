"""Datasets of other tools: `import` makes VOC of them, `to-coco` makes COCO of the project's VOC."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from nanoforge.commands.options import StageOptions, shown
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.files.paths import user_path
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.stages import IMPORT, STAGES, TO_COCO, UserFiles
from stages.parameters import ImportParameters, ToCocoParameters

PHOTOS = "JPEGImages"
DESCRIPTIONS = (".yaml", ".yml", ".data", ".names", ".txt")
"""Of a YOLO dataset, which is its folder."""
ANNOTATION_FOLDERS = ("annotations", "labels")
"""Beside which photos are: their folder holds both."""


def import_dataset(
    what: str, out: str, photos: str, source_format: str, with_photos: bool, options: StageOptions
) -> None:
    """Make a VOC dataset of another tool's; the photos stay where they are, behind a link, or are copied.

    Raises:
        BadInput: a path is missing or cannot be used, or nothing can be made of the files.
    """
    if not out:
        raise BadInput(
            "import needs --out FOLDER, where Annotations/ and the link JPEGImages to the photos are to appear."
        )
    folder, source = user_path(out).absolute(), _dataset(user_path(what).absolute())
    there = user_path(photos).absolute() if photos else _photos_of(source)
    if photos and not there.is_dir():
        raise BadInput(f"--photos: there is no folder {there}.")
    links = {} if with_photos else {PHOTOS: there.resolve()}
    parameters = ImportParameters(source_format, with_photos)._asdict()
    work = AdhocRun(IMPORT, {"what": source, "photos": there}, parameters, links=links)
    console = Console()
    made = run_adhoc(work, console, folder, options.placement())
    console.good(f"{shown(folder)}: {_import_words(made.metrics)}")
    if not with_photos:
        console.say(f"The photos stay in {there}; {shown(folder / PHOTOS)} is a link to it.")
    console.say(f"Next: `./run init {shown(folder)}`")


def _dataset(what: Path) -> Path:
    """A file that only describes a YOLO dataset stands for its folder."""
    return what.parent if what.is_file() and what.suffix.lower() in DESCRIPTIONS else what


def _photos_of(source: Path) -> Path:
    """Where photos are if nobody says so: in the dataset's folder, or around the file's."""
    if source.is_dir():
        return source
    beside = source.parent
    return beside.parent if beside.name.casefold() in ANNOTATION_FOLDERS else beside


def _import_words(metrics: Mapping[str, Any]) -> str:
    sides = ", ".join(f"{count} {side}" for side, count in metrics["sides"].items() if count)
    split = f" ({sides})" if sides else ""
    return f"{metrics['pictures']} pictures{split} and {metrics['objects']} objects from {metrics['format']}"


def to_coco(out: str, options: StageOptions) -> None:
    """Write the project's VOC dataset as COCO JSON.

    Raises:
        BadInput: the dataset cannot be read, or ``out`` is there already.
    """
    if not out:
        raise BadInput("to-coco needs --out FOLDER, where instances.json is to appear.")
    folder, project = user_path(out).absolute(), options.project()
    inputs = STAGES["resize"].inputs(project.context)
    paths = {name: given.path for name, given in inputs.items() if isinstance(given, UserFiles)}
    if len(paths) < len(inputs):
        raise BadInput("to-coco reads photos that you have: this project renders its own.")
    dataset, records = project.config.dataset, project.config.records
    parameters = ToCocoParameters(
        list(dataset.classes),
        dict(dataset.aliases),
        dataset.boxes,
        dataset.sizes,
        records.split,
        dict(records.findings),
    )
    work = AdhocRun(TO_COCO, paths, parameters._asdict())
    made = run_adhoc(work, project.console, folder, project.placement)
    files = ", ".join(shown(folder / name) for name in made.metrics["files"])
    project.console.good(f"{files}: {made.metrics['pictures']} pictures and {made.metrics['objects']} objects")
