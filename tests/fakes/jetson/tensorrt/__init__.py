"""TensorRT's Python module as far as Nanoforge uses it, in the version that NANOFORGE_FAKE_TENSORRT names.

Every version has the attributes, signatures and failures that it has in reality and no others; they are held against
the real modules of 8.6.1, 10.3 and 11.4, as recorded, and against NVIDIA's wheel of 8.5.3 where it is installed.
Networks are parsed as NVIDIA's parser does, and engines compute by the reference engine. What no version says, such as
how long a build takes, is not simulated.
"""

# ruff: noqa: F401
from . import plugins
from .build import Builder, BuilderFlag, IBuilderConfig, IHostMemory, MemoryPoolType, NetworkDefinitionCreationFlag
from .calibrators import IInt8EntropyCalibrator, IInt8EntropyCalibrator2, IInt8MinMaxCalibrator
from .engine import ICudaEngine, IExecutionContext, IProfiler, Runtime, TensorIOMode
from .logger import ILogger, Logger
from .parsers import INetworkDefinition, OnnxParser, ParserError, UffInputOrder, UffParser
from .types import DataType, Dims, Dims3, float16, float32, int8, int32, nptype, volume
from .versions import VERSION as _VERSION
from .versions import Ranged as _Ranged
from .versions import exists as _exists
from .versions import of_this_version as _of_this_version
from .versions import since as _since
from .versions import until as _until

__version__ = ".".join(map(str, _VERSION)) + (".6" if len(_VERSION) == 3 else "")
_NAMES = {
    "UffParser": _Ranged(UffParser, until=(9, 0, 0)),
    "UffInputOrder": _Ranged(UffInputOrder, until=(9, 0, 0)),
    "IBuilderConfig": _Ranged(IBuilderConfig, since=(6, 0, 0)),
    "BuilderFlag": _Ranged(BuilderFlag, since=(6, 0, 0)),
    "NetworkDefinitionCreationFlag": _Ranged(NetworkDefinitionCreationFlag, since=(6, 0, 0)),
    "MemoryPoolType": _Ranged(MemoryPoolType, since=(8, 4, 0)),
    "TensorIOMode": _Ranged(TensorIOMode, since=(8, 5, 0)),
    "IInt8EntropyCalibrator": _Ranged(IInt8EntropyCalibrator, until=(11, 0, 0)),
    "IInt8EntropyCalibrator2": _Ranged(IInt8EntropyCalibrator2, since=(5, 1, 0), until=(11, 0, 0)),
    "IInt8MinMaxCalibrator": _Ranged(IInt8MinMaxCalibrator, since=(6, 0, 0), until=(11, 0, 0)),
}
for _name, _ranged in _NAMES.items():
    if not _exists(_ranged):
        del globals()[_name]


class _PluginCreator:
    def __init__(self, name):
        self.name, self.plugin_version, self.plugin_namespace = name, "1", ""


def _creators(registry):
    return [_PluginCreator(name) for name in plugins.registered()]


@_of_this_version
class IPluginRegistry:
    plugin_creator_list = _until(11, 0, 0)(property(_creators))
    all_creators = _since(10, 0, 0)(property(_creators))

    @_until(11, 0, 0)
    def get_plugin_creator(self, type, version, plugin_namespace=""):
        return next((one for one in _creators(self) if one.name == type and version == "1"), None)


def get_plugin_registry():
    return IPluginRegistry()


def init_libnvinfer_plugins(logger, namespace):
    plugins.register()
    return True
