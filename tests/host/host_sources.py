"""The project's source files and what they import, for tests that hold the code to its rules."""

import ast
from functools import lru_cache
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]


def python_files(*places):
    """All Python files in these folders or files of the clone; at least one in each."""
    found = []
    for place in places:
        path = CLONE / place
        below = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        assert below, place
        found += below
    return found


@lru_cache(maxsize=None)
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """What a file imports, anywhere in it: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name their module in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path):
    """`nanoforge.files.paths` for nanoforge/files/paths.py."""
    parts = path.relative_to(CLONE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_imports(paths):
    """Which of these modules imports which others of them."""
    names = {module_name(path): path for path in paths}

    def module_of(name):
        return name if name in names else name.rpartition(".")[0]

    found = {}
    for name, path in names.items():
        found[name] = {module_of(imported) for imported in imports(path)} & set(names) - {name}
    return found


def modules_in_cycles(graph):
    """The modules that lead to themselves again, and those between such; empty where imports have an order."""
    left = {name: set(others) for name, others in graph.items()}
    while True:
        done = {name for name, others in left.items() if not others}
        if not done:
            break
        left = {name: others - done for name, others in left.items() if name not in done}
    return sorted(left)
