"""The stage table: every stage's name, environment, program, inputs and parameters, in the order in which they run.

`tasks.py`, `status`, the plan and docs/stages.md all come from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from nanoforge.config.checkpoints import StartCheckpoint
from nanoforge.config.dataset import PICTURE_SUFFIXES, find_annotations
from nanoforge.config.schema import Config, Size
from nanoforge.files.selection import ALL_FILES, Selection


@dataclass(frozen=True)
class ArtifactInput:
    """An input that another stage makes; ``part`` is a file or folder inside it, empty for the whole."""

    stage: str
    part: str = ""


@dataclass(frozen=True)
class UserFiles:
    """An input that the user gives: a file, or the selected files of a folder.

    ``digest`` is known beforehand for what is downloaded only when it is needed.
    """

    path: Path
    selection: Selection = ALL_FILES
    digest: str = ""


InputSource = Union[ArtifactInput, UserFiles]
Inputs = Dict[str, InputSource]


@dataclass(frozen=True)
class StageContext:
    """What the inputs and parameters of a project's stages depend on: its config and the folder of detector.toml."""

    config: Config
    folder: Path
    start: Optional[StartCheckpoint] = None

    def path(self, text: str) -> Path:
        """A path of the config, relative to the folder of detector.toml."""
        return (self.folder / Path(text).expanduser()).absolute()


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        name: the command's name too.
        environment: folder under ``docker/`` whose lock file makes the environment.
        module: program, run as ``python -m <module>``.
        summary: one line for people.
        inputs: input name -> where it comes from.
        parameters: what the stage's job file holds, and what makes it stale.
        makes: the artifact's files, for people.
        gpu: whether it has use for a GPU.
        also: other environments that hold all it needs, for hosts.
    """

    name: str
    environment: str
    module: str
    summary: str
    inputs: Callable[[StageContext], Inputs]
    parameters: Callable[[StageContext], Dict[str, Any]]
    makes: str
    gpu: bool = False
    also: Tuple[str, ...] = ()


def size_of(size: Size) -> List[int]:
    """A size of the config as [height, width]."""
    numbers = size if isinstance(size, list) else [size]
    return [numbers[0], numbers[-1]]


def _photo_inputs(setting: StageContext) -> Inputs:
    dataset = setting.config.dataset
    if dataset.rendered_pictures:
        return {"photos": ArtifactInput("render", "JPEGImages"), "annotations": ArtifactInput("render", "Annotations")}
    photos = setting.path(dataset.photos)
    annotations = setting.path(dataset.annotations) if dataset.annotations else find_annotations(photos)
    return {
        "photos": UserFiles(photos, Selection(PICTURE_SUFFIXES)),
        "annotations": UserFiles(annotations, Selection((".xml",))),
    }


def _train_inputs(setting: StageContext) -> Inputs:
    inputs: Inputs = {"records": ArtifactInput("records")}
    start = setting.start
    if start:
        digest = start.archive.sha256 if start.archive else ""
        inputs["start"] = UserFiles(start.folder, Selection(prefix=start.prefix + "."), digest)
    if setting.config.model.pipeline_config:
        inputs["pipeline_config"] = UserFiles(setting.path(setting.config.model.pipeline_config))
    return inputs


def _convert_inputs(setting: StageContext) -> Inputs:
    inputs: Inputs = {
        "graph": ArtifactInput("export"),
        "pipeline_config": ArtifactInput("export", "pipeline.config"),
        "label_map": ArtifactInput("export", "label_map.pbtxt"),
        "records": ArtifactInput("records"),
    }
    if setting.config.convert.nvidia_uff:
        inputs["nvidia_uff"] = UserFiles(setting.path(setting.config.convert.nvidia_uff))
    return inputs


def _detect_inputs(setting: StageContext) -> Inputs:
    media = setting.config.detect.media
    pictures: InputSource = UserFiles(setting.path(media)) if media else ArtifactInput("records")
    return {"model": ArtifactInput("convert"), "media" if media else "records": pictures}


def _records_parameters(setting: StageContext) -> Dict[str, Any]:
    records, model = setting.config.records, setting.config.model
    return {
        "classes": setting.config.dataset.classes,
        "image_size": size_of(records.image_size or model.input_size),
        "encoding": records.encoding,
        "jpeg_quality": records.jpeg_quality,
        "validation_fraction": records.validation_fraction,
        "seed": records.seed,
        "limit": records.limit,
        "pictures_per_shard": records.pictures_per_shard,
        "findings": records.findings,
    }


def _train_parameters(setting: StageContext) -> Dict[str, Any]:
    model, train = setting.config.model, setting.config.train
    return {
        "architecture": model.architecture,
        "depth_multiplier": model.depth_multiplier,
        "input_size": size_of(model.input_size),
        "start_checkpoint": setting.start.prefix if setting.start else None,
        "steps": train.steps,
        "batch_size": train.batch_size,
        "learning_rate": train.learning_rate,
        # The default suits a long run; a trial of a few steps must still reach its full rate.
        "warmup_steps": min(train.warmup_steps, train.steps // 5),
        "evaluate_every": train.evaluate_every,
        "keep_checkpoints": train.keep_checkpoints,
        "seed": train.seed,
        "augmentation": train.augmentation,
    }


def _fields(section: str, *names: str) -> Callable[[StageContext], Dict[str, Any]]:
    """Parameters that are keys of one section as they stand."""
    return lambda setting: {name: getattr(getattr(setting.config, section), name) for name in names}


def _artifacts(**parts: ArtifactInput) -> Callable[[StageContext], Inputs]:
    return lambda _setting: dict(parts)


def _nothing(_setting: StageContext) -> Dict[str, Any]:
    return {}


TABLE: Tuple[Stage, ...] = (
    Stage(
        "render",
        "data",
        "stages.demo.render",
        "Render the demo's pictures and their VOC XML",
        _nothing,
        lambda setting: {"pictures": setting.config.dataset.rendered_pictures, "seed": setting.config.records.seed},
        "JPEGImages/, Annotations/",
    ),
    Stage(
        "resize",
        "data",
        "stages.data.resize",
        "Make a smaller VOC dataset, boxes scaled with the pixels",
        _photo_inputs,
        lambda setting: {
            **_fields("resize", "long_side", "jpeg_quality")(setting),
            "limit": setting.config.records.limit,
        },
        "JPEGImages/, Annotations/",
    ),
    Stage(
        "records",
        "data",
        "stages.data.records",
        "Check photos and boxes, shrink them together, write TFRecords",
        _photo_inputs,
        _records_parameters,
        "*.tfrecord, label_map.pbtxt, dataset.json, index.jsonl",
    ),
    Stage(
        "train",
        "train",
        "stages.train.train",
        "Train the detector with TensorFlow 1.12's object_detection",
        _train_inputs,
        _train_parameters,
        "checkpoints/, pipeline.config, checkpoints.json, history.json, events/",
        gpu=True,
    ),
    Stage(
        "evaluate",
        "train",
        "stages.train.evaluate",
        "COCO metrics of a checkpoint on the validation pictures",
        _artifacts(records=ArtifactInput("records"), train=ArtifactInput("train")),
        _fields("evaluate", "checkpoint"),
        "evaluation.json, detections.json",
        gpu=True,
    ),
    Stage(
        "preview",
        "train",
        "stages.train.preview",
        "Pictures with truth and detections from any checkpoint",
        _artifacts(records=ArtifactInput("records"), train=ArtifactInput("train")),
        _fields("preview", "checkpoint", "pictures", "score_threshold"),
        "pictures/, detections.json",
        gpu=True,
    ),
    Stage(
        "export",
        "train",
        "stages.train.export",
        "Freeze a checkpoint into a graph, batch fixed to 1",
        _artifacts(records=ArtifactInput("records"), train=ArtifactInput("train")),
        _fields("export", "checkpoint", "score_threshold", "iou_threshold", "max_detections"),
        "frozen_inference_graph.pb, pipeline.config, label_map.pbtxt, export.json",
    ),
    Stage(
        "audit",
        "train",
        "stages.convert.audit",
        "Which ops of the frozen graph UFF cannot take, and what helps",
        _artifacts(graph=ArtifactInput("export")),
        _nothing,
        "audit.json, audit.txt",
    ),
    Stage(
        "convert",
        "train",
        "stages.convert.convert",
        "Frozen graph to .uff, with proof that it computes the same",
        _convert_inputs,
        _fields("convert", "to", "parity_pictures"),
        "model.uff, model.json, labels.txt, parity.json, worst.png; model.onnx if asked for",
    ),
    Stage(
        "detect",
        "data",
        "stages.detect.detect",
        "Boxes on pictures or video, by the reference interpreter",
        _detect_inputs,
        _fields("detect", "score_threshold", "pictures", "draw"),
        "detections.json, pictures/, videos/",
        also=("jetson",),
    ),
    Stage(
        "report",
        "data",
        "stages.report.report",
        "One HTML file that shows and explains it all",
        _artifacts(
            **{
                name: ArtifactInput(name)
                for name in ("records", "train", "evaluate", "export", "audit", "convert", "detect")
            }
        ),
        lambda setting: {"title": "Detector of " + ", ".join(setting.config.dataset.classes)},
        "report.html",
    ),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in TABLE}

# Stages that nothing after them needs; `build` makes the report, which needs all others.
FINAL_STAGE = "report"


def upstream(name: str, setting: StageContext) -> List[str]:
    """The stages that ``name`` needs, itself last, in the order in which they run."""
    needed = {name}
    for stage in reversed(TABLE):
        if stage.name in needed:
            needed.update(
                source.stage for source in stage.inputs(setting).values() if isinstance(source, ArtifactInput)
            )
    return [stage.name for stage in TABLE if stage.name in needed]
