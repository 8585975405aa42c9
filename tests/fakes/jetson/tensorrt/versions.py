"""Which attributes a class has in which version: decorators, and the version that is simulated."""

import os
from typing import Any, NamedTuple, Tuple

VERSION = tuple(int(part) for part in os.environ.get("NANOFORGE_FAKE_TENSORRT", "8.2.1").split("."))
NEVER = (99, 0, 0)


class Ranged(NamedTuple):
    """An attribute that exists from one version on and until another."""

    value: Any
    since: Tuple[int, ...] = ()
    until: Tuple[int, ...] = NEVER


def since(*version):
    """From this version on."""
    return lambda value: _narrowed(value, since=version)


def until(*version):
    """Before this version."""
    return lambda value: _narrowed(value, until=version)


def _narrowed(value, **limits):
    held = value if isinstance(value, Ranged) else Ranged(value)
    return held._replace(**limits)


def exists(ranged, version=VERSION):
    return ranged.since <= version < ranged.until


def of_this_version(cls):
    """The class without the attributes that the simulated version has not, and strict: pybind11's take no others."""
    for name, value in list(vars(cls).items()):
        if isinstance(value, Ranged):
            if exists(value):
                setattr(cls, name, value.value)
            else:
                delattr(cls, name)
    cls.__setattr__ = _strict
    return cls


def _strict(self, name, value):
    if not name.startswith("_") and not hasattr(type(self), name):
        raise AttributeError("'tensorrt.tensorrt.%s' object has no attribute '%s'" % (type(self).__name__, name))
    object.__setattr__(self, name, value)


def setting(name, default):
    """A property that can be read and written."""

    def get(self):
        return self.__dict__.get("_" + name, default)

    def put(self, value):
        self.__dict__["_" + name] = value

    return property(get, put)
