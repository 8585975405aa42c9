"""The parameters of every stage, declared once for the host, which fills them, and for the stage, which reads them.

The host fills a declaration from detector.toml, where keys have their limits and meanings (nanoforge/config/schema.py),
and writes it into the job file; the stage reads it back with :meth:`stages.job.Job.read`. So a misspelt name is found
by mypy on either side. Sizes are [height, width] in pixels.

Standard library only, Python 3.6: this file is in every environment, and one of the three here, with ``job`` and
``files``, that the host imports.
"""

from typing import Any, Dict, List, NamedTuple, Optional


class RenderParameters(NamedTuple):
    pictures: int
    seed: int


class ResizeParameters(NamedTuple):
    """``boxes`` and ``sizes`` as in :class:`RecordsParameters`."""

    max_megapixels: int
    boxes: str
    sizes: str
    long_side: int
    jpeg_quality: int
    limit: int


class RecordsParameters(NamedTuple):
    """``boxes`` is auto, corners, xywh or relative: what the four numbers of a box are; auto: corners, if they fit.

    ``sizes`` is xml or photo: on which picture boxes were drawn. ``aliases`` are name in the XML -> listed class.
    ``split`` is auto, hash, folders or imagesets. ``accept_losses``: go on without a tenth of the dataset and more.
    """

    classes: List[str]
    aliases: Dict[str, str]
    boxes: str
    sizes: str
    max_megapixels: int
    image_size: List[int]
    encoding: str
    jpeg_quality: int
    split: str
    validation_fraction: float
    seed: int
    limit: int
    pictures_per_shard: int
    findings: Dict[str, str]
    accept_losses: bool


class SurveyParameters(NamedTuple):
    """``image_size``: of the pictures to train on, which tells what is too small to learn from."""

    image_size: List[int]


class CheckDataParameters(NamedTuple):
    """What decides which anchors the model has, where no pipeline.config of the user's does."""

    architecture: str
    input_size: List[int]


class ImportParameters(NamedTuple):
    """``source_format``: of stages/data/exchange/formats.py, empty: told by the files; ``with_photos``: copy them."""

    source_format: str
    with_photos: bool


class ToCocoParameters(NamedTuple):
    """``boxes``, ``sizes``, ``aliases``, ``split`` and ``findings`` as in :class:`RecordsParameters`.

    ``classes`` come first among the categories, so that they have the ids of the records' label map.
    """

    classes: List[str]
    aliases: Dict[str, str]
    boxes: str
    sizes: str
    split: str
    findings: Dict[str, str]


class TrainParameters(NamedTuple):
    """``start_checkpoint`` is the file name of the prefix inside the input ``start``; None: random weights."""

    architecture: str
    depth_multiplier: float
    input_size: List[int]
    start_checkpoint: Optional[str]
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    evaluate_every: int
    keep_checkpoints: int
    seed: int
    augmentation: List[str]


class EvaluateParameters(NamedTuple):
    """``checkpoint``, here and below, is best, last or a step; ``split`` validation or test."""

    checkpoint: str
    split: str


class PreviewParameters(NamedTuple):
    checkpoint: str
    pictures: int
    score_threshold: float


class ExportParameters(NamedTuple):
    checkpoint: str
    score_threshold: float
    iou_threshold: float
    max_detections: int


class AuditParameters(NamedTuple):
    """``to`` as in :class:`ConvertParameters`: onnx takes what no .uff can hold."""

    to: str


class ConvertParameters(NamedTuple):
    """``to`` is uff, or onnx: that too."""

    to: str
    parity_pictures: int


class DetectParameters(NamedTuple):
    """``pictures`` at most, 0: all; ``backend`` is reference, tensorrt or tensorflow."""

    max_megapixels: int
    score_threshold: float
    pictures: int
    draw: bool
    backend: str


class ForeseeParameters(NamedTuple):
    """What the foresight of a training needs: the parameters of the stages that its model is to go through."""

    train: Dict[str, Any]
    export: Dict[str, Any]
    convert: Dict[str, Any]


class BundleParameters(NamedTuple):
    """``samples`` validation pictures travel with the model for the proof on the board.

    ``calibration_pictures`` of the training split go along too, 0 unless an int8 engine is to be built.
    """

    name: str
    samples: int
    calibration_pictures: int
    score_threshold: float


WORKSPACE_MB = 16
"""What a build may take for trying kernels, where nobody says otherwise; a Nano takes no harm by that much."""
LEAST_IOU, LARGEST_SCORE_DIFFERENCE, LARGEST_MAP_LOSS = 0.9, 0.05, 0.02
"""How far an engine may be from the reference, likewise."""
BENCH_RUNS, BENCH_WARMUP_RUNS = 200, 20
"""How often an engine runs to be timed, likewise."""


class BuildEngineParameters(NamedTuple):
    """``source`` is uff, onnx or boxes (model.boxes.onnx), ``precision`` fp32, fp16 or int8.

    The engine's detections on the samples may differ from the reference's by so much at most.
    """

    source: str
    precision: str
    workspace_mb: int
    least_iou: float
    largest_score_difference: float
    largest_map_loss: float


class BenchEngineParameters(NamedTuple):
    """``runs`` are timed after ``warmup_runs``, network alone and end to end."""

    runs: int
    warmup_runs: int


class LiveParameters(NamedTuple):
    """Detection that goes on until its source ends, it is stopped, or ``frames`` (0: no end) are done.

    ``source`` is a picture, folder or video file, ``usb:0`` or ``/dev/video0``, ``csi:0``, or an ``rtsp://`` address;
    ``sinks`` are window, mjpeg:PORT, file:PATH, lines (JSON on standard output) or lines:PATH; none where it is empty.
    ``size`` [height, width] and ``fps`` are asked of a camera.
    """

    source: str
    sinks: List[str]
    score_threshold: float
    backend: str
    size: List[int]
    fps: int
    frames: int


class InstallParameters(NamedTuple):
    """``folder`` is a clone of jetson-inference or its folder of networks; ``check``: look only."""

    folder: str
    name: str
    check: bool


class ReportParameters(NamedTuple):
    title: str


class RunUffParameters(NamedTuple):
    """``names`` of the inputs, in the order of ``input_0``, ``input_1`` …; empty where the .uff has one only.

    ``tensorrt`` is the version whose plugins compute; empty: the newest that a Nano has.
    """

    names: List[str]
    tensorrt: str
    fp16_decode: bool
