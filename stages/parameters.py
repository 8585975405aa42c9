"""The parameters of every stage, declared once for the host, which fills them, and for the stage, which reads them.

The host fills a declaration from detector.toml, where keys have their limits and meanings (nanoforge/config/schema.py),
and writes it into the job file; the stage reads it back with :meth:`stages.job.Job.read`. So a misspelt name is found
by mypy on either side. Sizes are [height, width] in pixels.

Standard library only, Python 3.6: this file is in every environment, and one of the three here, with ``job`` and
``files``, that the host imports.
"""

from typing import Dict, List, NamedTuple, Optional


class RenderParameters(NamedTuple):
    pictures: int
    seed: int


class ResizeParameters(NamedTuple):
    max_megapixels: int
    long_side: int
    jpeg_quality: int
    limit: int


class RecordsParameters(NamedTuple):
    classes: List[str]
    max_megapixels: int
    image_size: List[int]
    encoding: str
    jpeg_quality: int
    validation_fraction: float
    seed: int
    limit: int
    pictures_per_shard: int
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
    """``checkpoint``, here and below, is best, last or a step."""

    checkpoint: str


class PreviewParameters(NamedTuple):
    checkpoint: str
    pictures: int
    score_threshold: float


class ExportParameters(NamedTuple):
    checkpoint: str
    score_threshold: float
    iou_threshold: float
    max_detections: int


class ConvertParameters(NamedTuple):
    """``to`` is uff, or onnx: that too."""

    to: str
    parity_pictures: int


class DetectParameters(NamedTuple):
    """``pictures`` at most, 0: all."""

    max_megapixels: int
    score_threshold: float
    pictures: int
    draw: bool


class BuildEngineParameters(NamedTuple):
    """``source`` is uff or onnx, ``precision`` fp32, fp16 or int8."""

    source: str
    precision: str
    workspace_mb: int


class ReportParameters(NamedTuple):
    title: str


class RunUffParameters(NamedTuple):
    """``names`` of the inputs, in the order of ``input_0``, ``input_1`` …; empty where the .uff has one only.

    ``tensorrt`` is the version whose plugins compute; empty: the newest that a Nano has.
    """

    names: List[str]
    tensorrt: str
    fp16_decode: bool
