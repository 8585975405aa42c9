"""The modules that a program needs, found by reading them: what is imported, also inside functions, or named to be run.

A string that is the full name of a module, such as ``"stages.jetson.builder"``, counts: children are started by it. So
do the other files of a module's folder, such as a page to be served.
"""

import ast
import os
from typing import Dict, Iterable, Iterator, List

import stages

ROOT = os.path.dirname(os.path.abspath(stages.__file__))
# They need TensorFlow, or make models: no program of the board gets there.
LEFT_OUT = ("stages.convert", "stages.train", "stages.detect.backends.tensorflow")


def needed(entries: Iterable[str]) -> Dict[str, str]:
    """The path of every file that the modules ``entries`` need, by its name relative to the folder above ``stages``."""
    found: Dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        path = _file_of(module)
        if path and _name(path) not in found:
            found[_name(path)] = path
            waiting += _packages(module)
            waiting += _named_in(path)
    for folder in {os.path.dirname(path) for path in found.values()} - {ROOT}:
        found.update((_name(path), path) for path in _data_in(folder))
    return found


def _name(path: str) -> str:
    return os.path.relpath(path, os.path.dirname(ROOT)).replace(os.sep, "/")


def _file_of(module: str) -> str:
    """The module's file; empty: there is none, or it stays here."""
    parts = module.split(".")
    if parts[0] != "stages" or any((module + ".").startswith(one + ".") for one in LEFT_OUT):
        return ""
    path = os.path.join(ROOT, *parts[1:])
    return next((one for one in (path + ".py", os.path.join(path, "__init__.py")) if os.path.isfile(one)), "")


def _packages(module: str) -> List[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _named_in(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read(), path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from ("%s.%s" % (node.module, alias.name) for alias in node.names)
        else:
            text = getattr(node, "value", getattr(node, "s", None))  # of a constant; until Python 3.7 of a Str
            if isinstance(text, str):
                yield text


def _data_in(folder: str) -> Iterator[str]:
    """What is no module in a module's folder, and in folders below it that hold none."""
    for above, folders, names in os.walk(folder):
        if above != folder and any(name.endswith(".py") for name in names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (
            os.path.join(above, name)
            for name in names
            if not name.startswith(".") and not name.endswith((".py", ".pyc"))
        )
