"""Builder and its configuration: settings, and plans."""

import enum
import hashlib
import json
import os
import signal

from . import device, optimizer
from .logger import Severity
from .parsers import INetworkDefinition
from .versions import VERSION, Ranged, exists, of_this_version, setting, since, until

MAGIC = b"ptrt"
_FLAGS = {
    "FP16": Ranged(0, until=(11, 0, 0)),
    "INT8": Ranged(1, until=(11, 0, 0)),
    "DEBUG": Ranged(2),
    "GPU_FALLBACK": Ranged(3),
    "STRICT_TYPES": Ranged(4, until=(9, 0, 0)),
    "REFIT": Ranged(5),
    "DISABLE_TIMING_CACHE": Ranged(6, since=(8, 0, 0)),
    "TF32": Ranged(7, since=(7, 1, 0)),
}
BuilderFlag = enum.IntEnum("BuilderFlag", {name: one.value for name, one in _FLAGS.items() if exists(one)})
_CREATION = {
    "EXPLICIT_BATCH": Ranged(0, until=(11, 0, 0)),
    "EXPLICIT_PRECISION": Ranged(1, since=(7, 0, 0), until=(9, 0, 0)),
}
NetworkDefinitionCreationFlag = enum.IntEnum(
    "NetworkDefinitionCreationFlag",
    {name: one.value for name, one in _CREATION.items() if exists(one)} or {"STRONGLY_TYPED": 1},
)
MemoryPoolType = enum.IntEnum("MemoryPoolType", {"WORKSPACE": 0})


class IHostMemory(bytes):
    """A plan as the builder gives it."""

    nbytes = property(len)


@of_this_version
class IBuilderConfig:
    def __init__(self):
        self._flags, self._pools = 0, {}

    max_workspace_size = until(9, 0, 0)(setting("max_workspace_size", 0))
    int8_calibrator = until(11, 0, 0)(setting("int8_calibrator", None))
    default_device_type = setting("default_device_type", 0)
    flags = property(lambda self: self._flags, lambda self, value: self.__dict__.update(_flags=int(value)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def set_flag(self, flag):
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag):
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag):
        return bool(self._flags & (1 << int(flag)))

    @since(8, 4, 0)
    def set_memory_pool_limit(self, pool, pool_size):
        self._pools[pool] = pool_size

    @property
    def _workspace(self):
        return self._pools.get(MemoryPoolType.WORKSPACE, self.__dict__.get("_max_workspace_size", 0))


@of_this_version
class Builder:
    def __init__(self, logger):
        self._logger = logger

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    max_batch_size = until(9, 0, 0)(setting("max_batch_size", 1))
    max_workspace_size = until(8, 0, 0)(setting("max_workspace_size", 0))
    fp16_mode = until(8, 0, 0)(setting("fp16_mode", False))
    int8_mode = until(8, 0, 0)(setting("int8_mode", False))
    int8_calibrator = until(8, 0, 0)(setting("int8_calibrator", None))
    strict_type_constraints = until(8, 0, 0)(setting("strict_type_constraints", False))
    debug_sync = until(8, 0, 0)(setting("debug_sync", False))
    platform_has_fast_fp16 = until(11, 0, 0)(property(lambda self: device.FAST_FP16))
    platform_has_fast_int8 = until(11, 0, 0)(property(lambda self: device.FAST_INT8))

    def create_network(self, *flags):
        if len(flags) > (0 if VERSION < (6, 0, 0) else 1):
            raise TypeError("create_network(): incompatible function arguments.")
        explicit = VERSION >= (10, 0, 0) or bool(flags and int(flags[0]) & 1)
        return INetworkDefinition(explicit, self._logger)

    @since(6, 0, 0)
    def create_builder_config(self):
        return IBuilderConfig()

    @until(8, 0, 0)
    def build_cuda_engine(self, network):
        held = self.__dict__
        settings = {
            "fp16": held.get("_fp16_mode", False),
            "int8": held.get("_int8_mode", False),
            "workspace": held.get("_max_workspace_size", 0),
        }
        return self._engine(self._plan(network, settings, held.get("_int8_calibrator")))

    @since(6, 0, 0)
    @until(9, 0, 0)
    def build_engine(self, network, config):
        return self._engine(self._configured(network, config))

    @since(8, 0, 0)
    def build_serialized_network(self, network, config):
        plan = self._configured(network, config)
        return None if plan is None else IHostMemory(plan)

    def _configured(self, network, config):
        settings = {"fp16": bool(config._flags & 1), "int8": bool(config._flags & 2), "workspace": config._workspace}
        return self._plan(network, settings, config.__dict__.get("_int8_calibrator"))

    def _engine(self, plan):
        from .engine import Runtime

        return None if plan is None else Runtime(self._logger).deserialize_cuda_engine(plan)

    def _plan(self, network, settings, calibrator):
        if network._weights_of is not None and network._weights_of() is None:
            print("the parser, and with it the weights, is gone", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if not network.num_outputs:
            self._logger.log(Severity.ERROR, "Network must have at least one output")
            return None
        if settings["workspace"] > device.FREE_MB << 20:
            self._logger.log(Severity.ERROR, "runtime.cpp (25) - Cuda Error in allocate: 2 (out of memory)")
            return None
        if settings["int8"]:
            if not device.FAST_INT8:
                self._logger.log(Severity.WARNING, "Int8 support requested on hardware without native Int8 support")
            if not _calibrated(calibrator, network):
                self._logger.log(Severity.ERROR, "Calibration failure occurred with no scaling factors detected.")
                return None
        layers = optimizer.fused(network._network.calls)
        optimizer.tell(self._logger, network._network, layers)
        _die()
        kind, source = network._source
        inputs = [[one.name, list(one.shape)] for one in network._network.inputs]
        outputs = [[one.name, list(one.shape)] for one in network._network.outputs]
        head = {
            "version": list(VERSION),
            "device": device.NAME,
            "kind": kind,
            "inputs": inputs,
            "outputs": outputs,
            "max_batch_size": self.__dict__.get("_max_batch_size", 1),
            "explicit": network._explicit,
            "layers": layers,
            **settings,
        }
        return pack(head, source)


def _die():
    if device.DIES == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if device.DIES == "assertion":
        print("#assertion/home/jenkins/TensorRT/plugin/nmsPlugin/nmsPlugin.cpp,246", flush=True)
        os.abort()


def _calibrated(calibrator, network):
    if calibrator is None:
        return False
    names = [one.name for one in network._network.inputs]
    if calibrator.read_calibration_cache(*([0] if VERSION < (6, 0, 0) else [])):
        return True
    batches = 0
    while calibrator.get_batch(names):
        batches += 1
    if batches:
        cache = b"TRT-%d%d%d-EntropyCalibration2\nInput: 3c010a14\n" % VERSION[:3]
        calibrator.write_calibration_cache(cache, *([len(cache)] if VERSION < (6, 0, 0) else []))
    return batches > 0


def pack(head, source):
    """A plan: magic, length of the head, head, source, digest of all."""
    described = json.dumps(head, sort_keys=True).encode()
    body = MAGIC + len(described).to_bytes(8, "little") + described + source
    return body + hashlib.sha256(body).digest()


def unpack(plan):
    """The head and source of a plan, or None where it is not whole."""
    body, digest = plan[:-32], plan[-32:]
    if plan[:4] != MAGIC or hashlib.sha256(body).digest() != digest:
        return None
    length = int.from_bytes(body[4:12], "little")
    return json.loads(body[12 : 12 + length].decode()), body[12 + length :]
