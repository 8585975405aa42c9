"""A dataset's own split into what is trained on and what is not."""

from typing import Dict, List, NamedTuple, Optional

from stages.data.findings import Findings
from stages.data.pairing import Folders, Pair


class Split(NamedTuple):
    """Who says it (hash, folders or imagesets), photo -> train, validation or test, the pictures to take, warnings."""

    source: str
    sides: Dict[str, str]
    items: List[Pair]
    notes: List[str]


def own_split(mode: str, items: List[Pair], folders: Folders, image_sets: Optional[str], findings: Findings) -> Split:
    """The split that ``mode`` (``records.split``) asks for."""
    return Split("hash", {}, items, [])
