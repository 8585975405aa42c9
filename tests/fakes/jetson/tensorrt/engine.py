"""Engines and their execution: plans of this version and device only, computed by the reference engine."""

import enum
import os
import tempfile

import numpy as np
from pycuda import _device as memory

from . import device, optimizer, plugins
from .build import IHostMemory, pack, unpack
from .logger import Severity
from .types import DataType, Dims
from .versions import VERSION, of_this_version, setting, since, until


class TensorIOMode(enum.IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class IProfiler:
    def __init__(self):
        pass

    def report_layer_time(self, layer_name, ms):
        raise NotImplementedError


@of_this_version
class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def deserialize_cuda_engine(self, serialized_engine, *plugin_factory):
        if plugin_factory and VERSION >= (8, 0, 0):
            raise TypeError("deserialize_cuda_engine(): incompatible function arguments.")
        found = unpack(bytes(serialized_engine))
        if found is None:
            self._logger.log(Severity.ERROR, "deserializationUtils.cpp: Serialization assertion magic failed")
            return None
        head, source = found
        if tuple(head["version"]) != VERSION:
            self._logger.log(
                Severity.ERROR,
                "The engine plan file is not compatible with this version of TensorRT, expecting library version %s got"
                " %s, please rebuild." % (".".join(map(str, VERSION)), ".".join(map(str, head["version"]))),
            )
            return None
        if head["device"] != device.NAME:
            self._logger.log(Severity.ERROR, "The engine plan file is generated on an incompatible device")
            return None
        if head["kind"] == "uff" and "FlattenConcat_TRT" not in plugins.registered():
            self._logger.log(
                Severity.ERROR, "getPluginCreator could not find plugin FlattenConcat_TRT version 1 namespace"
            )
            return None
        return ICudaEngine(head, source)


@of_this_version
class ICudaEngine:
    def __init__(self, head, source):
        memory.engines.add(self)
        self._head, self._source = head, source
        self._names = [name for name, _ in head["inputs"] + head["outputs"]]
        self._shapes = dict((name, tuple(shape)) for name, shape in head["inputs"] + head["outputs"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @until(9, 0, 0)
    def __len__(self):
        return len(self._names)

    @until(9, 0, 0)
    def __getitem__(self, key):
        return self._names[key] if isinstance(key, int) else self._names.index(key)

    num_bindings = until(9, 0, 0)(property(lambda self: len(self._names)))
    max_batch_size = until(9, 0, 0)(property(lambda self: self._head["max_batch_size"]))
    num_layers = property(lambda self: 1)
    device_memory_size = until(11, 0, 0)(property(lambda self: 12 << 20))
    has_implicit_batch_dimension = since(7, 0, 0)(until(11, 0, 0)(property(lambda self: not self._head["explicit"])))
    num_io_tensors = since(8, 5, 0)(property(lambda self: len(self._names)))

    @until(9, 0, 0)
    def get_binding_name(self, index):
        return self._names[index]

    @until(9, 0, 0)
    def get_binding_index(self, name):
        return self._names.index(name) if name in self._names else -1

    @until(9, 0, 0)
    def get_binding_shape(self, binding):
        name = binding if isinstance(binding, str) else self._names[binding]
        return Dims(self._shapes.get(name, (0, 0, 0) if VERSION < (6, 0, 0) else ()))

    @until(9, 0, 0)
    def get_binding_dtype(self, binding):
        return DataType.FLOAT

    @until(9, 0, 0)
    def binding_is_input(self, binding):
        name = binding if isinstance(binding, str) else self._names[binding]
        return name in dict(self._head["inputs"])

    @since(8, 5, 0)
    def get_tensor_name(self, index):
        return self._names[index]

    @since(8, 5, 0)
    def get_tensor_shape(self, name):
        return Dims(self._shapes[name])

    @since(8, 5, 0)
    def get_tensor_dtype(self, name):
        return DataType.FLOAT

    @since(8, 5, 0)
    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in dict(self._head["inputs"]) else TensorIOMode.OUTPUT

    def serialize(self):
        return IHostMemory(pack(self._head, self._source))

    def create_execution_context(self):
        if device.FREE_MB < 12:  # what its activations take
            return None
        return IExecutionContext(self)


@of_this_version
class IExecutionContext:
    def __init__(self, engine):
        memory.engines.add(self)
        self._engine, self._addresses, self._compute, self._last = engine, {}, None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    engine = property(lambda self: self._engine)
    profiler = setting("profiler", None)

    @until(9, 0, 0)
    def execute(self, batch_size=1, bindings=None):
        self._check(implicit=True)
        self._run(dict(zip(self._engine._names, bindings)))
        return True

    @until(9, 0, 0)
    def execute_async(self, batch_size=1, bindings=None, stream_handle=0, input_consumed=None):
        self._check(implicit=True)
        memory.on_stream(stream_handle, lambda: self._run(dict(zip(self._engine._names, bindings))))
        return True

    @since(6, 0, 0)
    def execute_v2(self, bindings):
        self._check(implicit=False)
        self._run(dict(zip(self._engine._names, bindings)))
        return True

    @since(6, 0, 0)
    @until(10, 0, 0)
    def execute_async_v2(self, bindings, stream_handle, input_consumed=None):
        self._check(implicit=False)
        memory.on_stream(stream_handle, lambda: self._run(dict(zip(self._engine._names, bindings))))
        return True

    @since(8, 5, 0)
    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return name in self._engine._names

    @since(8, 5, 0)
    def execute_async_v3(self, stream_handle):
        self._check(implicit=False)
        memory.on_stream(stream_handle, lambda: self._run(dict(self._addresses)))
        return True

    def _check(self, implicit):
        if implicit == self._engine._head["explicit"]:
            raise RuntimeError(
                "execute for %s batch used on another network" % ("implicit" if implicit else "explicit")
            )

    def _run(self, addresses):
        (name, shape), *_ = self._engine._head["inputs"]
        taken = shape if self._engine._head["explicit"] else [1] + shape
        tensor = memory.array(addresses[name], np.float32, taken)
        for output, values in self._results(tensor.copy()).items():
            memory.write(addresses[output], values)
        if self.__dict__.get("_profiler") is not None:
            for number, layer in enumerate(self._engine._head["layers"]):
                self._profiler.report_layer_time(layer, optimizer.milliseconds(number))

    def _results(self, tensor):
        head = self._engine._head
        if device.INFERENCE_MS:
            memory.busy(device.INFERENCE_MS / 1000)
            return {name: np.zeros(shape, np.float32) for name, shape in head["outputs"]}
        if self._compute is None:
            self._compute = _computing(head, self._engine._source)
        if self._last is None or not np.array_equal(self._last[0], tensor):  # the same again costs nothing here
            found = self._compute(tensor)
            outputs = {name: _drifted(np.ascontiguousarray(found[name])) for name, _ in head["outputs"]}
            self._last = tensor, outputs
        return self._last[1]


def _drifted(values):
    """The rows of detections as an engine gives them that is further off than it should be."""
    if device.DRIFT and values.shape[-1] == 7:
        values = values.copy()
        values[..., 2] -= np.float32(device.DRIFT)
        values[..., 3:] = np.clip(values[..., 3:] + np.float32(device.DRIFT), 0, 1)
    return values


def _computing(head, source):
    """A function from the input to all outputs."""
    from stages.reference.arithmetic import Arithmetic
    from stages.reference.interpreter import UffInterpreter

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model." + head["kind"])
        with open(path, "wb") as stream:
            stream.write(source)
        if head["kind"] == "uff":
            return UffInterpreter(path, Arithmetic(VERSION, half=head["fp16"], fused=True)).run
        from stages.convert.onnx.runtime import OnnxRuntime

        if b"NMS_TRT" in source:
            runtime = OnnxRuntime(path)
            return lambda tensor: runtime.run(tensor, [])
        return _plain(path, [name for name, _ in head["outputs"]])


def _plain(path, outputs):
    """An ONNX model without plugins by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    return lambda tensor: dict(zip(outputs, session.run(outputs, {entry: tensor})))
