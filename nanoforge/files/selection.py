"""Which files of a folder count for whom: the rule of `stages.files`, and a choice among them by name."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from stages.files import FileStat as FileStat
from stages.files import Found, left_out_below, readable
from stages.files import walk as found_below

NAMED = 5


class Selection(NamedTuple):
    """Which files of a folder count: those with one of the suffixes (empty: all) and the name's beginning."""

    suffixes: Tuple[str, ...] = ()
    prefix: str = ""

    def takes(self, path: str) -> bool:
        """Whether the file at a path, relative to the folder, is selected."""
        named = not self.prefix or path.rpartition("/")[2].startswith(self.prefix)
        return named and (not self.suffixes or path.lower().endswith(self.suffixes))

    def among(self, found: Found, root: Path) -> List[FileStat]:
        """Those of a walk of ``root``; a root that is a file counts whatever is selected."""
        if root.is_file():
            return found.files
        return [one for one in found.files if self.takes(one.path)]


ALL_FILES = Selection()


def walk(root: Path, selection: Selection = ALL_FILES) -> List[FileStat]:
    """Every selected file at or below ``root``, sorted by path.

    Raises:
        OSError: ``root`` is not there, cannot be read, or is neither a file nor a folder.
    """
    return selection.among(found_below(str(root)), root)


def left_out_words(root: Path) -> Optional[str]:
    """What does not count below ``root`` although it is not hidden, in a sentence that names the first; None: nothing.

    Raises:
        OSError: as :func:`walk`.
    """
    left_out = left_out_below(str(root))
    if not left_out:
        return None
    named = "; ".join(readable(f"{root / one.path} ({one.reason})") for one in left_out[:NAMED])
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return f"Left out: {named}{more}."
