"""How engines are built, one class for each generation of TensorRT's API; nothing else knows of versions.

* ``BuilderAttributes``: 5.0 and 5.1, settings on the builder itself, ``build_cuda_engine``.
* ``BuilderConfig``: 6.0 to 7.x, settings on an ``IBuilderConfig``, ``build_engine``. Settings on the builder are
  ignored there, in silence (NVIDIA/TensorRT issue 320).
* ``SerializedNetwork``: from 8.0 on, ``build_serialized_network``; from 8.4 on the workspace is a memory pool.

Which one it is is asked of the module's classes, not of its version's text.
"""

from typing import Any, List, NamedTuple, Optional, Tuple

from stages.job import BadInput, StageFailed

FP32, FP16, INT8 = "fp32", "fp16", "int8"
UFF, ONNX, BOXES = "uff", "onnx", "boxes"


class Source(NamedTuple):
    """What an engine is built from.

    Attributes:
        kind: uff, onnx, or boxes: ONNX without plugins.
        path: of the file.
        input: name and shape [3, height, width] of the input.
        outputs: to register with the UFF parser, such as ``MarkOutput_0``.
    """

    kind: str
    path: str
    input: Tuple[str, List[int]]
    outputs: List[str]


class Settings(NamedTuple):
    """How an engine is built; ``calibrator`` is an IInt8Calibrator, for int8 only."""

    precision: str
    workspace_mb: int
    calibrator: Optional[Any] = None


class BuilderAttributes:
    """TensorRT 5.0 and 5.1."""

    def __init__(self, trt: Any, builder: Any) -> None:
        self._trt, self._builder = trt, builder

    def network(self, explicit: bool) -> Any:
        if explicit:
            raise BadInput(
                "TensorRT %s cannot run the ONNX model, whose batch is explicit; build from the .uff"
                % self._trt.__version__
            )
        return self._builder.create_network()

    def build(self, network: Any, settings: Settings) -> Optional[bytes]:
        builder = self._builder
        builder.max_batch_size = 1
        builder.max_workspace_size = settings.workspace_mb << 20
        builder.fp16_mode = settings.precision in (FP16, INT8) and builder.platform_has_fast_fp16
        if settings.precision == INT8:
            builder.int8_mode, builder.int8_calibrator = True, settings.calibrator
        return _serialized(builder.build_cuda_engine(network))


class BuilderConfig:
    """TensorRT 6.0 to 7.x."""

    def __init__(self, trt: Any, builder: Any) -> None:
        self._trt, self._builder = trt, builder

    def network(self, explicit: bool) -> Any:
        flags = getattr(self._trt, "NetworkDefinitionCreationFlag", None)
        batch = getattr(flags, "EXPLICIT_BATCH", None)  # from 11 on every network is explicit
        return self._builder.create_network(1 << int(batch) if explicit and batch is not None else 0)

    def build(self, network: Any, settings: Settings) -> Optional[bytes]:
        return _serialized(self._builder.build_engine(network, self._config(settings)))

    def _config(self, settings: Settings) -> Any:
        trt, config = self._trt, self._builder.create_builder_config()
        if hasattr(self._builder, "max_batch_size"):
            self._builder.max_batch_size = 1
        if hasattr(config, "set_memory_pool_limit"):
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
        else:
            config.max_workspace_size = settings.workspace_mb << 20
        for precision in {INT8: ("INT8", "FP16"), FP16: ("FP16",)}.get(settings.precision, ()):
            if not hasattr(trt.BuilderFlag, precision):
                raise BadInput(
                    "TensorRT %s takes its precision from the model alone; build with fp32" % trt.__version__
                )
            config.set_flag(getattr(trt.BuilderFlag, precision))
        if settings.calibrator is not None:
            config.int8_calibrator = settings.calibrator
        return config


class SerializedNetwork(BuilderConfig):
    """TensorRT 8.0 and newer."""

    def build(self, network: Any, settings: Settings) -> Optional[bytes]:
        plan = self._builder.build_serialized_network(network, self._config(settings))
        return None if plan is None else bytes(plan)


def generation(trt: Any, builder: Any) -> Any:
    """The class for this module's API."""
    if hasattr(builder, "build_serialized_network"):
        return SerializedNetwork(trt, builder)
    if hasattr(builder, "create_builder_config"):
        return BuilderConfig(trt, builder)
    return BuilderAttributes(trt, builder)


def build(trt: Any, logger: Any, source: Source, settings: Settings) -> bytes:
    """The plan of an engine.

    Raises:
        BadInput: this TensorRT cannot take that kind of model or precision, or its parser refuses it.
        StageFailed: the builder gives no engine; what it said is in the log.
    """
    builder = trt.Builder(logger)
    if settings.precision == INT8 and not getattr(builder, "platform_has_fast_int8", True):
        raise BadInput(
            "This GPU has no fast INT8 (a Jetson Nano has none): the engine would be slower than with fp16 and less"
            " exact; build with fp16"
        )
    api = generation(trt, builder)
    network = api.network(explicit=source.kind != UFF)
    parser = _PARSERS[source.kind](trt, logger, network, source)
    if network.num_outputs < 1:
        raise StageFailed("TensorRT found no output in %s; convert it again" % source.path)
    print("parsed: %d layers" % network.num_layers, flush=True)
    plan: Optional[bytes] = api.build(network, settings)
    del network, parser  # before their builder, and not earlier: the weights are the parser's
    if not plan:
        raise StageFailed("TensorRT could not build an engine of %s; its reason is in the log" % source.path)
    return plan


def _parse_uff(trt: Any, _logger: Any, network: Any, source: Source) -> Any:
    if not hasattr(trt, "UffParser"):
        raise BadInput(
            "TensorRT %s has no UFF parser; build of model.boxes.onnx, which needs no plugin either: convert --to onnx,"
            " source boxes" % trt.__version__
        )
    parser = trt.UffParser()
    name, shape = source.input
    parser.register_input(name, tuple(shape))
    for output in source.outputs:
        parser.register_output(output)
    if not parser.parse(source.path, network):
        raise BadInput("TensorRT's UFF parser refuses %s; its reason is in the log" % source.path)
    return parser


def _parse_onnx(trt: Any, logger: Any, network: Any, source: Source) -> Any:
    parser = trt.OnnxParser(network, logger)
    with open(source.path, "rb") as stream:
        data = stream.read()
    if not parser.parse(data):
        reasons = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise BadInput("TensorRT's ONNX parser refuses %s: %s" % (source.path, reasons or "without a reason"))
    return parser


_PARSERS = {UFF: _parse_uff, ONNX: _parse_onnx, BOXES: _parse_onnx}


def _serialized(engine: Any) -> Optional[bytes]:
    return None if engine is None else bytes(engine.serialize())
