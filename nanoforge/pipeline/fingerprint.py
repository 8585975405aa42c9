"""The recipe of an artifact, and its fingerprint: what has to be equal for the artifact to be the same.

A recipe names the stage's code, its environment's lock files, its parameters and its inputs' digests. Times, paths of
checkouts and comments in the config are not in it, so they make nothing stale.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set

from nanoforge.containers.compose import build_of, lock_files
from nanoforge.files.digests import json_digest, sha256_file
from nanoforge.files.paths import HOME
from nanoforge.pipeline.stages import Stage

# Raise when the meaning of a recipe changes, so that no older artifact is taken for a new one, and say what changed.
RECIPE_VERSION = 2
WHAT_CHANGED = "the stages' code moved to other folders in this version of Nanoforge, so it is made once more"
CODE = (".py", ".pyc")
# A module that is named in full is started as a process, such as "stages.jetson.builder".
NAMED_MODULE = re.compile(r"""["'](stages(?:\.[a-z0-9_]+)+)["']""")


def recipe(
    stage: Stage, parameters: Mapping[str, Any], inputs: Mapping[str, str], image: Optional[str]
) -> Dict[str, Any]:
    """The recipe of ``stage``; ``inputs`` are name -> content digest, ``image`` the id of the container's image."""
    return {
        **({"image": image} if image else {}),
        "version": RECIPE_VERSION,
        "stage": stage.name,
        "code": code_digests(stage.module),
        "locks": {str(path.relative_to(HOME)): sha256_file(path) for path in lock_files(build_of(stage.environment))},
        "parameters": {name: value for name, value in parameters.items() if name not in stage.consents},
        "inputs": dict(inputs),
    }


def fingerprint(of: Mapping[str, Any]) -> str:
    """SHA-256 of the recipe's canonical JSON, as 64 hex digits."""
    return json_digest(of)


def code_digests(module: str) -> Dict[str, str]:
    """Path in the clone -> digest, of the files that :func:`code_files` finds."""
    return {str(path.relative_to(HOME)): sha256_file(path) for path in code_files(module)}


def code_files(module: str) -> List[Path]:
    """The files of ``module`` and of every module under ``stages`` that it imports or starts, directly or not.

    And what else lies in their folders, such as templates.
    """
    found: Set[Path] = set()
    waiting = [module]
    while waiting:
        path = _module_file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        waiting.extend(_imports(path.read_text(encoding="utf-8")))
    # stages/ itself holds shared modules only; what is below it are other stages' rooms.
    rooms = {path.parent for path in found} - {HOME / "stages"}
    others = {file for room in rooms for file in room.rglob("*") if file.is_file() and file.suffix not in CODE}
    return sorted(found | others)


def _module_file(module: str) -> Optional[Path]:
    if module.split(".")[0] != "stages":
        return None
    path = HOME.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@lru_cache(maxsize=None)
def _imports(source: str) -> List[str]:
    """The modules that a module of this text imports or starts; stages share many, and every command asks."""
    modules = NAMED_MODULE.findall(source)
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.append(node.module)
            modules.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return modules


def _statements(module: ast.Module) -> Iterator[ast.AST]:
    """Every statement, and not what it is made of, which is ten times as much: `ast.walk` would take far longer."""
    waiting: List[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        for inner in ("body", "orelse", "finalbody", "handlers"):
            waiting.extend(getattr(node, inner, ()))
