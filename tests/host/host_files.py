"""Folders of small files."""

from pathlib import Path


def write(root: Path, *names: str) -> Path:
    """Files of these names below ``root``, each with its name in it; returns ``root``."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root
