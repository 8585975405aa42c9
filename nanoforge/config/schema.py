"""``detector.toml``: what its keys are; `reader` reads it.

Every key is declared once, here, with its type, default, limits and meaning; the file that ``./run init`` writes, the
table in docs/configuration.md and all error messages come from these declarations.
"""

from __future__ import annotations

import functools
from typing import Any, Dict, Iterator, List, Literal, NamedTuple, Tuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from typing_extensions import Annotated, get_type_hints

from stages.parameters import (
    BENCH_RUNS,
    BENCH_WARMUP_RUNS,
    LARGEST_MAP_LOSS,
    LARGEST_SCORE_DIFFERENCE,
    LEAST_IOU,
    WORKSPACE_MB,
)

FILE_NAME = "detector.toml"

Architecture = Literal["ssd_mobilenet_v1", "ssd_mobilenet_v2", "ssdlite_mobilenet_v2", "ssd_inception_v2"]
Encoding = Literal["png", "jpeg"]
ModelFormat = Literal["uff", "onnx"]
Backend = Literal["reference", "tensorrt", "tensorflow"]
EngineSource = Literal["uff", "onnx", "boxes"]
Precision = Literal["fp32", "fp16", "int8"]
RunnerChoice = Literal["auto", "docker", "local"]
Policy = Literal["fail", "drop", "fix"]
BoxNumbers = Literal["auto", "corners", "xywh", "relative"]
BoxSizes = Literal["xml", "photo"]
SplitSource = Literal["auto", "hash", "folders", "imagesets"]
EvaluatedSplit = Literal["validation", "test"]

ARCHITECTURES: Tuple[str, ...] = get_args(Architecture)
FORMATS: Tuple[str, ...] = get_args(ModelFormat)
BACKENDS: Tuple[str, ...] = get_args(Backend)
PRECISIONS: Tuple[str, ...] = get_args(Precision)
RUNNERS: Tuple[str, ...] = get_args(RunnerChoice)

Size = Union[int, List[int]]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class DatasetSection(Struct, frozen=True, kw_only=True):
    photos: Annotated[str, Meta(description="Folder of photos, searched with all its subfolders")] = "photos"
    annotations: Annotated[
        str, Meta(description="Folder of PASCAL VOC XML files; empty: beside the photos, or found in `photos`")
    ] = ""
    classes: Annotated[
        List[str], Meta(description="Names of the things to detect, as the XML spells them; others are dropped")
    ] = msgspec.field(default_factory=list)
    aliases: Annotated[
        Dict[str, str],
        Meta(
            description='Other names in the XML for listed classes, such as { "Cone" = "cone", "trafic cone" = "cone" }'
        ),
    ] = msgspec.field(default_factory=dict)
    boxes: Annotated[
        BoxNumbers,
        Meta(
            description="What the four numbers of a `<bndbox>` are: corners (xmin, ymin, xmax, ymax), xywh (x, y,"
            " width, height), relative (corners from 0 to 1); auto: corners, refused where the dataset looks otherwise"
        ),
    ] = "auto"
    sizes: Annotated[
        BoxSizes,
        Meta(
            description="On which picture the boxes were drawn: xml (one of the size that the XML says) or photo (the"
            " photo as it is, whatever the XML says)"
        ),
    ] = "xml"
    image_sets: Annotated[
        str,
        Meta(
            description="Folder of the dataset's own lists train.txt, val.txt, trainval.txt and test.txt; empty:"
            " ImageSets/Main beside or in `photos`, if there is one"
        ),
    ] = ""
    max_megapixels: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Larger pictures are left out before they are decoded; 100 megapixels take up to 0.9 GB",
        ),
    ] = 100
    rendered_pictures: Annotated[
        int, Meta(ge=0, description="For the demo: render this many pictures instead of reading photos")
    ] = 0


class ResizeSection(Struct, frozen=True, kw_only=True):
    long_side: Annotated[
        int, Meta(ge=16, description="`resize`: longest side of the smaller VOC dataset's pictures, in pixels")
    ] = 960
    jpeg_quality: Annotated[int, Meta(ge=1, le=100, description="`resize`: JPEG quality of the smaller pictures")] = 90


class RecordsSection(Struct, frozen=True, kw_only=True):
    image_size: Annotated[
        Size,
        Meta(description="Pixels of the pictures in the records, one number or [height, width]; 0: `model.input_size`"),
    ] = 0
    encoding: Annotated[Encoding, Meta(description="How records hold pixels: png (exact) or jpeg (small)")] = "png"
    jpeg_quality: Annotated[int, Meta(ge=1, le=100, description="JPEG quality where `encoding` is jpeg")] = 95
    split: Annotated[
        SplitSource,
        Meta(
            description="Who says what is trained on: imagesets (`dataset.image_sets`), folders (train, valid, test in"
            " the photos' paths), hash (chance, by `seed`); auto: the first of these that the dataset has"
        ),
    ] = "auto"
    validation_fraction: Annotated[
        Fraction, Meta(description="Share of the photos kept for validation, where chance decides")
    ] = 0.2
    seed: Annotated[int, Meta(ge=0, description="Another seed gives another split")] = 0
    limit: Annotated[int, Meta(ge=0, description="Use only this many photos, for a trial; 0: all")] = 0
    pictures_per_shard: Annotated[int, Meta(ge=1, description="Pictures in one TFRecord file")] = 1000
    folder: Annotated[
        str,
        Meta(
            description="Keep the records below this folder, such as on another disk, in one of this project's own;"
            " empty: with the other artifacts"
        ),
    ] = ""
    findings: Annotated[
        Dict[str, Policy],
        Meta(description="What to do about each kind of finding in the data: fail, drop or fix (docs/findings.md)"),
    ] = msgspec.field(default_factory=dict)
    accept_losses: Annotated[
        bool, Meta(description="Go on even if findings leave out more than a tenth of the pictures or boxes")
    ] = False


class ModelSection(Struct, frozen=True, kw_only=True):
    architecture: Annotated[Architecture, Meta(description="One of " + ", ".join(ARCHITECTURES))] = "ssd_mobilenet_v2"
    depth_multiplier: Annotated[
        float,
        Meta(gt=0, le=4, description="Width of the network: 1.0 is the published one, 0.25 a quarter of its channels"),
    ] = 1.0
    input_size: Annotated[Size, Meta(description="Pixels that the network sees, one number or [height, width]")] = 300
    checkpoint: Annotated[
        str, Meta(description="Start from this checkpoint: a zoo name, a path or a URL; empty: random weights")
    ] = ""
    checkpoint_sha256: Annotated[str, Meta(description="SHA-256 of the archive behind a zoo name or URL")] = ""
    pipeline_config: Annotated[
        str,
        Meta(
            description="Your own object_detection pipeline.config, its paths patched; of [model] and [train]"
            " only checkpoint, evaluate_every, keep_checkpoints and seed count then"
        ),
    ] = ""


class TrainSection(Struct, frozen=True, kw_only=True):
    steps: Annotated[int, Meta(ge=1, description="Training steps")] = 20000
    batch_size: Annotated[int, Meta(ge=1, description="Pictures in one step")] = 24
    learning_rate: Annotated[
        float, Meta(gt=0, description="Highest learning rate; it falls to zero along a cosine")
    ] = 0.002
    warmup_steps: Annotated[
        int, Meta(ge=0, description="Steps until the highest learning rate is reached; at most a fifth of `steps`")
    ] = 500
    evaluate_every: Annotated[
        int,
        Meta(
            ge=0,
            description="Evaluate after every so many steps, and at the end; 0: a tenth of `steps`, but at least 500",
        ),
    ] = 0
    keep_checkpoints: Annotated[
        int, Meta(ge=1, description="How many evaluated checkpoints are kept beside the best")
    ] = 5
    seed: Annotated[int, Meta(ge=0, description="Seed of weights, shuffling and augmentation")] = 0
    augmentation: Annotated[
        List[str], Meta(description="Names of object_detection's augmentation steps, such as random_horizontal_flip")
    ] = msgspec.field(default_factory=lambda: ["random_horizontal_flip", "ssd_random_crop"])
    anyway: Annotated[
        bool,
        Meta(
            description="Train your own `model.pipeline_config` even if `convert` is sure to refuse what comes out, for"
            " TensorFlow alone"
        ),
    ] = False


class EvaluateSection(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`evaluate`: best, last or a step")] = "best"
    split: Annotated[
        EvaluatedSplit, Meta(description="`evaluate`: on which pictures; test, if the dataset's own split has such")
    ] = "validation"


class PreviewSection(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`preview`: best, last or a step")] = "last"
    pictures: Annotated[int, Meta(ge=1, description="`preview`: how many validation pictures are drawn")] = 12
    score_threshold: Annotated[Fraction, Meta(description="`preview`: draw detections from this score on")] = 0.3


class ExportSection(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`export`: best, last or a step")] = "best"
    score_threshold: Annotated[
        Fraction, Meta(description="Lowest score that the model gives out; keep it low, `detect` has its own")
    ] = 0.01
    iou_threshold: Annotated[
        Fraction, Meta(description="Overlap above which the weaker of two boxes of a class is dropped")
    ] = 0.6
    max_detections: Annotated[int, Meta(ge=1, le=4096, description="Detections per picture at most")] = 100


class ConvertSection(Struct, frozen=True, kw_only=True):
    to: Annotated[
        ModelFormat,
        Meta(description="uff, or onnx: also as ONNX, which TensorRT 7.1 (JetPack 4.4) and later read"),
    ] = "uff"
    parity_pictures: Annotated[
        int,
        Meta(ge=1, description="Validation pictures on which TensorFlow and the reference interpreter are compared"),
    ] = 20
    nvidia_uff: Annotated[
        str,
        Meta(description="Folder or wheel of NVIDIA's package uff, if you have it: its .uff is compared with ours"),
    ] = ""


class BundleSection(Struct, frozen=True, kw_only=True):
    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
            description="Name of the model on the board: letters, digits, _ and -",
        ),
    ] = "detector"
    samples: Annotated[
        int, Meta(ge=1, le=200, description="Validation pictures that travel along, on which the engine is proven")
    ] = 20
    calibration_pictures: Annotated[
        int,
        Meta(ge=1, le=2000, description="Training pictures that travel along where `build_engine.precision` is int8"),
    ] = 200


class BuildEngineSection(Struct, frozen=True, kw_only=True):
    source: Annotated[
        EngineSource,
        Meta(
            description="What the engine is built of: uff; onnx (TensorRT 7.1 to 8.6), boxes (ONNX without plugins,"
            ' TensorRT 7.1 and later), both made where `convert.to` is "onnx"'
        ),
    ] = "uff"
    precision: Annotated[Precision, Meta(description="fp32, fp16, or int8 where the GPU has it (a Nano has not)")] = (
        "fp16"
    )
    workspace_mb: Annotated[
        int,
        Meta(ge=1, le=4096, description="Memory that TensorRT may take for trying kernels, in MiB; much kills a Nano"),
    ] = WORKSPACE_MB
    least_iou: Annotated[
        Fraction, Meta(description="`build-engine` fails where a box overlaps that of the reference by less")
    ] = LEAST_IOU
    largest_score_difference: Annotated[
        Fraction, Meta(description="… or its score differs from that of the reference by more")
    ] = LARGEST_SCORE_DIFFERENCE
    largest_map_loss: Annotated[
        Fraction, Meta(description="… or the mAP on the samples is lower than that of the reference by more")
    ] = LARGEST_MAP_LOSS


class BenchEngineSection(Struct, frozen=True, kw_only=True):
    runs: Annotated[int, Meta(ge=10, le=100000, description="`bench-engine`: how many inferences are timed")] = (
        BENCH_RUNS
    )
    warmup_runs: Annotated[int, Meta(ge=0, le=10000, description="`bench-engine`: how many come before them")] = (
        BENCH_WARMUP_RUNS
    )


class DetectSection(Struct, frozen=True, kw_only=True):
    media: Annotated[
        str, Meta(description="`detect`: a picture, a folder or a video; empty: the validation pictures")
    ] = ""
    score_threshold: Annotated[Fraction, Meta(description="`detect`: lowest score of a detection")] = 0.5
    pictures: Annotated[int, Meta(ge=0, description="`detect`: at most this many pictures; 0: all")] = 0
    draw: Annotated[bool, Meta(description="`detect`: also draw the boxes on the pictures")] = True
    backend: Annotated[
        Backend,
        Meta(
            description="`detect`: reference (any processor), tensorrt (a Jetson, by its engine) or tensorflow (the"
            " frozen graph)"
        ),
    ] = "reference"
    camera: Annotated[
        str,
        Meta(
            pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}@[1-9][0-9]{0,2}$",
            description="`detect --live`: width, height and frames a second that a camera is asked for",
        ),
    ] = "1280x720@30"


class RunnerSection(Struct, frozen=True, kw_only=True):
    use: Annotated[
        RunnerChoice,
        Meta(
            description="Where stages run: docker (containers), local (virtual environments), auto: docker where a"
            " daemon answers"
        ),
    ] = "auto"
    stages: Annotated[
        Dict[str, str],
        Meta(description="Where single stages run: stage = auto, docker, local or the name of a host"),
    ] = msgspec.field(default_factory=dict)
    gpu: Annotated[
        bool,
        Meta(description="docker: train, evaluate and preview on the GPU (CUDA 9.0, compute capability 3.5 to 7.0)"),
    ] = False
    python36: Annotated[str, Meta(description="Path of a Python 3.6; empty: found on PATH, in pyenv or conda")] = ""
    cpus: Annotated[int, Meta(ge=0, description="Processors that a stage may use; 0: all")] = 0
    memory_mb: Annotated[
        int,
        Meta(
            ge=0,
            description="Memory that a stage may use, in MiB; 0: no limit, in containers compose.yml's (train: 8 GiB)",
        ),
    ] = 0


class HostSection(Struct, frozen=True, kw_only=True):
    """A machine with a Docker daemon, such as a Nano; one ``[hosts.NAME]`` each."""

    docker: Annotated[
        str, Meta(description="Its Docker daemon: ssh://user@host, with :port and the socket's path if need be")
    ] = ""
    environment: Annotated[
        str, Meta(description="Environment that stages run in there, such as jetson; empty: the stage's own")
    ] = ""
    l4t: Annotated[
        str, Meta(description="A Jetson's L4T release, such as 32.7.1 (`head -1 /etc/nv_tegra_release` there)")
    ] = ""


class Config(Struct, frozen=True, kw_only=True):
    dataset: Annotated[DatasetSection, Meta(description="The labelled photos")] = DatasetSection()
    resize: Annotated[ResizeSection, Meta(description="A smaller copy of the dataset, as VOC again")] = ResizeSection()
    records: Annotated[RecordsSection, Meta(description="From photos and XML to TFRecords")] = RecordsSection()
    model: Annotated[ModelSection, Meta(description="The network")] = ModelSection()
    train: Annotated[TrainSection, Meta(description="Training")] = TrainSection()
    evaluate: Annotated[EvaluateSection, Meta(description="COCO metrics of a checkpoint")] = EvaluateSection()
    preview: Annotated[PreviewSection, Meta(description="Pictures with boxes from a checkpoint")] = PreviewSection()
    export: Annotated[ExportSection, Meta(description="The frozen graph and its postprocessing")] = ExportSection()
    convert: Annotated[ConvertSection, Meta(description="From frozen graph to .uff, with proof")] = ConvertSection()
    bundle: Annotated[BundleSection, Meta(description="The model and all that it needs on the board")] = BundleSection()
    build_engine: Annotated[BuildEngineSection, Meta(description="A TensorRT engine, built on the board")] = (
        BuildEngineSection()
    )
    bench_engine: Annotated[BenchEngineSection, Meta(description="How fast the engine is")] = BenchEngineSection()
    detect: Annotated[DetectSection, Meta(description="Boxes on pictures")] = DetectSection()
    runner: Annotated[RunnerSection, Meta(description="Where stages run, and what they may use")] = RunnerSection()
    hosts: Annotated[Dict[str, HostSection], Meta(description="Machines to run stages on")] = msgspec.field(
        default_factory=dict
    )


HOSTS = "hosts"
ANY_HOST = "hosts.NAME"
"""How the keys of a host are spelled where no certain host is meant."""


class Key(NamedTuple):
    """One key of the file: its section, name, type with limits, default and meaning."""

    section: str
    name: str
    type: Any
    default: Any
    meaning: str

    @property
    def plain_type(self) -> Any:
        """The type without limits and meaning, such as ``int`` or ``Dict[str, str]``."""
        return self.type.__origin__

    @property
    def words(self) -> Tuple[str, ...]:
        """The words that the value, or each value of a table, must be one of; empty: there are none such."""
        plain = self.plain_type
        single = get_args(plain)[-1] if get_origin(plain) is dict else plain
        return get_args(single) if get_origin(single) is Literal else ()


@functools.lru_cache(maxsize=None)
def keys() -> Tuple[Key, ...]:
    """Every key of ``detector.toml``, in the order of the file."""
    return tuple(_keys())


def _keys() -> Iterator[Key]:
    for section in get_type_hints(Config):
        struct, section = (HostSection, ANY_HOST) if section == HOSTS else (type(getattr(Config(), section)), section)
        for name, annotated in get_type_hints(struct, include_extras=True).items():
            notes = [note for note in annotated.__metadata__ if isinstance(note, Meta)]
            meaning = next(note.description or "" for note in reversed(notes) if note.description)
            yield Key(section, name, annotated, getattr(struct(), name), meaning)


@functools.lru_cache(maxsize=None)
def sections() -> Dict[str, str]:
    """Section name -> what it is about."""
    return {
        ANY_HOST if name == HOSTS else name: annotated.__metadata__[0].description
        for name, annotated in get_type_hints(Config, include_extras=True).items()
    }
