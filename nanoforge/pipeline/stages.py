"""The stage table: every stage's name, environment, program, inputs and parameters, in the order in which they run.

The plan, `status`, `clean` and docs/stages.md come from this table; tasks.py has a command for each row but the demo's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union, get_type_hints

from nanoforge.config import checkpoints
from nanoforge.config.schema import Config, Size
from nanoforge.console import Console
from nanoforge.errors import BadInput
from nanoforge.files.selection import ALL_FILES, Selection
from nanoforge.pipeline.context import StageContext
from nanoforge.runners.contract import Program
from stages.files import PICTURE_SUFFIXES, SENT_UNREAD_SUFFIXES
from stages.parameters import (
    AuditParameters,
    BenchEngineParameters,
    BuildEngineParameters,
    BundleParameters,
    CheckDataParameters,
    ConvertParameters,
    DetectParameters,
    EvaluateParameters,
    ExportParameters,
    PreviewParameters,
    RecordsParameters,
    RenderParameters,
    ReportParameters,
    ResizeParameters,
    TrainParameters,
)


@dataclass(frozen=True)
class ArtifactInput:
    """An input that another stage makes; ``part`` is a file or folder inside it, empty for the whole."""

    stage: str
    part: str = ""


@dataclass(frozen=True)
class ArtifactIfMade:
    """An input that is taken where it was made, of what goes into the stage, and is never made for it.

    Attributes:
        made_of: the stages that lie between, from the artifact's own inputs back to one that the stage needs.
    """

    stage: str
    made_of: Tuple[str, ...]


@dataclass(frozen=True)
class UserFiles:
    """An input that the user gives: a file, or the selected files of a folder.

    Attributes:
        key: of detector.toml, that names it.
        digest: known beforehand for what is downloaded only when it is needed.
        fetch: downloads it.
    """

    path: Path
    key: str
    selection: Selection = ALL_FILES
    digest: str = ""
    fetch: Optional[Callable[[Console], None]] = None


PICTURES = Selection(PICTURE_SUFFIXES + SENT_UNREAD_SUFFIXES)
"""Photos, and what can only be named to the user as in a format that is not read."""

JETSON = "jetson"
"""The environment that has TensorRT: on the board only."""

InputSource = Union[ArtifactInput, ArtifactIfMade, UserFiles]
Inputs = Dict[str, InputSource]
Parameters = Dict[str, Any]
"""What a declaration of stages/parameters.py holds, filled: name -> plain JSON value."""


def _always(_context: StageContext) -> bool:
    return True


def _as_it_stands(_context: StageContext) -> Mapping[str, Any]:
    return {}


def _in_the_build_folder(_context: StageContext) -> Optional[Path]:
    return None


@dataclass(frozen=True)
class Stage(Program):
    """One row of the table; the command that makes it, if there is one, has the same name.

    Attributes:
        summary: one line for people.
        makes: the artifact's files, for people.
        inputs: input name -> where it comes from.
        parameters: what the job file holds, and what makes it stale.
        applies: whether a project has this stage at all.
        folder: where its artifacts are kept, if the user wants them elsewhere than in the build folder.
        consents: parameters that decide whether the stage goes on, never what comes out: they make nothing stale.
        aids: inputs that spare it work and change nothing in what comes out, where there are such; see `aids`.
        varies: what is otherwise in this row with some configs, such as the environment; see `row_in`.
    """

    summary: str = ""
    makes: str = ""
    inputs: Callable[[StageContext], Inputs] = lambda _context: {}
    parameters: Callable[[StageContext], Parameters] = lambda _context: {}
    applies: Callable[[StageContext], bool] = _always
    folder: Callable[[StageContext], Optional[Path]] = _in_the_build_folder
    consents: Tuple[str, ...] = ()
    aids: Tuple[str, ...] = ()
    varies: Callable[[StageContext], Mapping[str, Any]] = _as_it_stands


def size_of(size: Size) -> List[int]:
    """A size of the config as [height, width]."""
    numbers = size if isinstance(size, list) else [size]
    return [numbers[0], numbers[-1]]


def _photo_inputs(context: StageContext) -> Inputs:
    dataset = context.config.dataset
    if dataset.rendered_pictures:
        return {"photos": ArtifactInput("render", "JPEGImages"), "annotations": ArtifactInput("render", "Annotations")}
    return {
        "photos": UserFiles(context.path(dataset.photos), "dataset.photos", PICTURES),
        "annotations": UserFiles(context.annotations, "dataset.annotations", Selection((".xml",))),
    }


def _dataset_inputs(context: StageContext) -> Inputs:
    """Lists of a split count only where they may decide it, so that a new one makes no other records stale."""
    inputs, dataset = _photo_inputs(context), context.config.dataset
    if dataset.rendered_pictures or context.config.records.split not in ("auto", "imagesets"):
        return inputs
    lists = context.image_sets
    return {**inputs, "image_sets": UserFiles(lists, "dataset.image_sets", Selection((".txt",)))} if lists else inputs


def _own_pipeline(context: StageContext) -> Inputs:
    path = context.config.model.pipeline_config
    return {"pipeline_config": UserFiles(context.path(path), "model.pipeline_config")} if path else {}


def _train_inputs(context: StageContext) -> Inputs:
    inputs: Inputs = {"records": ArtifactInput("records")}
    start = context.start
    if start:
        digest = start.archive.sha256 if start.archive else ""
        selection = Selection(prefix=start.prefix + ".")
        fetch = partial(checkpoints.fetch, start)
        inputs["start"] = UserFiles(start.folder, "model.checkpoint", selection, digest, fetch)
    return {**inputs, **_own_pipeline(context)}


def _convert_inputs(context: StageContext) -> Inputs:
    inputs: Inputs = {
        "graph": ArtifactInput("export"),
        "pipeline_config": ArtifactInput("export", "pipeline.config"),
        "label_map": ArtifactInput("export", "label_map.pbtxt"),
        "records": ArtifactInput("records"),
    }
    if context.config.convert.nvidia_uff:
        inputs["nvidia_uff"] = UserFiles(context.path(context.config.convert.nvidia_uff), "convert.nvidia_uff")
    return inputs


def _detect_inputs(context: StageContext) -> Inputs:
    media = context.config.detect.media
    inputs = detector_inputs(context)
    if media:
        return {**inputs, "media": UserFiles(context.path(media), "detect.media", PICTURES)}
    return {**inputs, "records": ArtifactInput("records")}


def _report_inputs(_context: StageContext) -> Inputs:
    needed: Inputs = {name: ArtifactInput(name) for name in _ALL_BEFORE_THE_REPORT}
    return {
        **needed,
        "build-engine": ArtifactIfMade("build-engine", ("bundle", "convert")),
        "bench-engine": ArtifactIfMade("bench-engine", ("build-engine", "bundle", "convert")),
    }


def detector_inputs(context: StageContext) -> Inputs:
    """What `detect.backend` computes with; an engine's folder has all that is known of its model."""
    inputs: Mapping[str, Inputs] = {
        "reference": {"model": ArtifactInput("convert")},
        "tensorrt": {"engine": ArtifactInput("build-engine")},
        "tensorflow": {"model": ArtifactInput("convert"), "graph": ArtifactInput("export")},
    }
    return inputs[context.config.detect.backend]


def _detect_varies(context: StageContext) -> Mapping[str, Any]:
    """Where each backend's libraries are: the reference interpreter runs anywhere, the others do not."""
    return {
        "reference": {},
        "tensorrt": {"environment": JETSON, "also": (), "summary": "Boxes on pictures or video, by the engine"},
        "tensorflow": {"environment": "train", "also": (), "summary": "Boxes on pictures or video, by TensorFlow"},
    }[context.config.detect.backend]


def _artifacts(**parts: ArtifactInput) -> Callable[[StageContext], Inputs]:
    return lambda _context: dict(parts)


def _filled(
    declaration: Callable[..., NamedTuple], *sections: str, **derived: Callable[[StageContext], Any]
) -> Callable[[StageContext], Parameters]:
    """What fills a declaration: ``derived`` values, all others with the keys of the same name in these sections.

    Raises:
        TypeError: a declared parameter is neither.
    """
    keys = [(name, _source_of(name, sections)) for name in get_type_hints(declaration) if name not in derived]

    def fill(context: StageContext) -> Parameters:
        values = {name: getattr(getattr(context.config, section), name) for name, section in keys}
        values.update({name: derive(context) for name, derive in derived.items()})
        return dict(declaration(**values)._asdict())

    return fill


def _source_of(name: str, sections: Tuple[str, ...]) -> str:
    found = [section for section in sections if hasattr(getattr(Config(), section), name)]
    if len(found) != 1:
        raise TypeError(f"parameter {name} is a key of {len(found)} of the sections {', '.join(sections)}")
    return found[0]


def _network_size(context: StageContext) -> List[int]:
    return size_of(context.config.model.input_size)


def records_size(context: StageContext) -> List[int]:
    """The size of the pictures in records, as [height, width]."""
    return size_of(context.config.records.image_size or context.config.model.input_size)


def _warmup_steps(context: StageContext) -> int:
    """The default suits a long run; a trial of a few steps must still reach its full rate."""
    return min(context.config.train.warmup_steps, context.config.train.steps // 5)


def _evaluate_every(context: StageContext) -> int:
    train = context.config.train
    return train.evaluate_every or max(500, train.steps // 10)


def _calibration_pictures(context: StageContext) -> int:
    """Only INT8 is calibrated; a bundle for other precisions need not carry the pictures."""
    return context.config.bundle.calibration_pictures if context.config.build_engine.precision == "int8" else 0


def _records_folder(context: StageContext) -> Optional[Path]:
    folder = context.config.records.folder
    return context.path(folder) if folder else None


_RECORDS_AND_TRAIN = _artifacts(records=ArtifactInput("records"), train=ArtifactInput("train"))
_ALL_BEFORE_THE_REPORT = ("records", "train", "evaluate", "export", "audit", "convert", "detect")

TABLE: Tuple[Stage, ...] = (
    Stage(
        "render",
        "data",
        "stages.demo.render",
        summary="Render the demo's pictures and their VOC XML",
        makes="JPEGImages/, Annotations/",
        parameters=_filled(
            RenderParameters, "records", pictures=lambda context: context.config.dataset.rendered_pictures
        ),
        applies=lambda context: context.config.dataset.rendered_pictures > 0,
    ),
    Stage(
        "resize",
        "data",
        "stages.data.resize",
        summary="Make a smaller VOC dataset, boxes scaled with the pixels",
        makes="JPEGImages/, Annotations/",
        inputs=_dataset_inputs,
        parameters=_filled(ResizeParameters, "dataset", "resize", limit=lambda context: context.config.records.limit),
    ),
    Stage(
        "records",
        "data",
        "stages.data.records",
        summary="Check photos and boxes, shrink them together, write TFRecords",
        makes="*.tfrecord, label_map.pbtxt, dataset.json, index.jsonl",
        inputs=_dataset_inputs,
        parameters=_filled(RecordsParameters, "dataset", "records", image_size=records_size),
        folder=_records_folder,
        consents=("accept_losses",),
        aids=("earlier", "digests"),
    ),
    Stage(
        "check-data",
        "data",
        "stages.check.check",
        summary="A health page of the records: what is wrong, and which anchors fit",
        makes="health.html, health.json",
        inputs=lambda context: {"records": ArtifactInput("records"), **_own_pipeline(context)},
        parameters=_filled(CheckDataParameters, "model", input_size=_network_size),
    ),
    Stage(
        "train",
        "train",
        "stages.train.train",
        gpu=True,
        summary="Train the detector with TensorFlow 1.12's object_detection",
        makes="checkpoints/, pipeline.config, checkpoints.json, history.json, events/",
        inputs=_train_inputs,
        parameters=_filled(
            TrainParameters,
            "model",
            "train",
            input_size=_network_size,
            warmup_steps=_warmup_steps,
            evaluate_every=_evaluate_every,
            start_checkpoint=lambda context: context.start.prefix if context.start else None,
        ),
    ),
    Stage(
        "evaluate",
        "train",
        "stages.train.evaluate",
        gpu=True,
        summary="COCO metrics of a checkpoint on the validation pictures",
        makes="evaluation.json, detections.json",
        inputs=_RECORDS_AND_TRAIN,
        parameters=_filled(EvaluateParameters, "evaluate"),
    ),
    Stage(
        "preview",
        "train",
        "stages.train.preview",
        gpu=True,
        summary="Pictures with truth and detections from any checkpoint",
        makes="pictures/, detections.json",
        inputs=_RECORDS_AND_TRAIN,
        parameters=_filled(PreviewParameters, "preview"),
    ),
    Stage(
        "export",
        "train",
        "stages.train.export",
        summary="Freeze a checkpoint into a graph, batch fixed to 1",
        makes="frozen_inference_graph.pb, pipeline.config, label_map.pbtxt, export.json",
        inputs=_RECORDS_AND_TRAIN,
        parameters=_filled(ExportParameters, "export"),
    ),
    Stage(
        "audit",
        "train",
        "stages.convert.audit",
        summary="Which ops of the frozen graph UFF cannot take, and what helps",
        makes="audit.json, audit.txt",
        inputs=_artifacts(graph=ArtifactInput("export")),
        parameters=_filled(AuditParameters, "convert"),
    ),
    Stage(
        "convert",
        "train",
        "stages.convert.convert",
        summary="Frozen graph to .uff, with proof that it computes the same",
        makes="model.uff, model.json, labels.txt, parity.json, worst.png; model.onnx, model.boxes.onnx if asked for",
        inputs=_convert_inputs,
        parameters=_filled(ConvertParameters, "convert"),
    ),
    Stage(
        "bundle",
        "data",
        "stages.bundle.bundle",
        summary="All that the board needs, in one folder and one file",
        makes="model/, detector.pyz",
        inputs=_artifacts(model=ArtifactInput("convert"), records=ArtifactInput("records")),
        parameters=_filled(
            BundleParameters,
            "bundle",
            calibration_pictures=_calibration_pictures,
            score_threshold=lambda context: context.config.detect.score_threshold,
        ),
    ),
    Stage(
        "build-engine",
        JETSON,
        "stages.jetson.build_engine",
        summary="TensorRT engine for the board, proven on the bundle's samples",
        makes="model.engine, engine.json, build.log, layers.json, parity.json",
        inputs=_artifacts(model=ArtifactInput("bundle", "model")),
        parameters=_filled(BuildEngineParameters, "build_engine"),
    ),
    Stage(
        "bench-engine",
        JETSON,
        "stages.jetson.bench_engine",
        summary="How fast the engine is, alone and from picture to boxes",
        makes="bench.json",
        inputs=_artifacts(engine=ArtifactInput("build-engine"), model=ArtifactInput("bundle", "model")),
        parameters=_filled(BenchEngineParameters, "bench_engine"),
    ),
    Stage(
        "detect",
        "data",
        "stages.detect.detect",
        also=(JETSON,),
        summary="Boxes on pictures or video, by the reference interpreter",
        makes="detections.json, pictures/, videos/",
        inputs=_detect_inputs,
        parameters=_filled(DetectParameters, "dataset", "detect"),
        varies=_detect_varies,
    ),
    Stage(
        "report",
        "data",
        "stages.report.report",
        summary="One HTML file that shows and explains it all",
        makes="report.html",
        inputs=_report_inputs,
        parameters=_filled(
            ReportParameters, title=lambda context: "Detector of " + ", ".join(context.config.dataset.classes)
        ),
    ),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in TABLE}

# Programs that make no artifact of a project: commands run them once on the files that they name.
SURVEY = Program("survey", "data", "stages.data.survey")
IMPORT = Program("import", "data", "stages.data.exchange.import_dataset")
TO_COCO = Program("to-coco", "data", "stages.data.exchange.to_coco")
INSPECT = Program("inspect", "train", "stages.convert.inspect")
RUN_UFF = Program("run-uff", "data", "stages.reference.run")
INSTALL = Program("install", JETSON, "stages.jetson.install")
SELFTEST = Program("selftest", JETSON, "stages.jetson.selftest")
LIVE_MODULE = "stages.detect.live"
"""Detection that goes on until it is stopped, in the environment of `detect`; it makes nothing that is kept."""


def stage_called(name: str) -> Stage:
    """The row of that name.

    Raises:
        BadInput: there is none.
    """
    if name not in STAGES:
        raise BadInput(f"Unknown stage {name}: stages are {', '.join(STAGES)}.")
    return STAGES[name]


def needing_a_jetson() -> List[str]:
    """The stages that run on a Jetson whatever the config is."""
    return [stage.name for stage in TABLE if stage.environment == JETSON]


def row_in(name: str, context: StageContext) -> Stage:
    """The row of that name as it is with this config."""
    row = STAGES[name]
    return replace(row, **row.varies(context))


def upstream(name: str, context: StageContext) -> List[str]:
    """The stages that ``name`` needs, itself last, in the order in which they run."""
    needed = {name}
    for stage in reversed(TABLE):
        if stage.name in needed:
            needed.update(
                source.stage for source in stage.inputs(context).values() if isinstance(source, ArtifactInput)
            )
    return [stage.name for stage in TABLE if stage.name in needed]
