"""What a whole dataset shows that no single box does."""

from typing import Any

from stages.data.frame import Reading


def check(observed: Any, reading: Reading) -> None:
    """Refuse a dataset that looks otherwise than it is read."""
