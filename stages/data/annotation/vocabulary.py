"""The classes of a detector, and which of them a name in an XML file means."""

import re
import unicodedata
from typing import Dict, List, Optional


class Vocabulary:
    """``classes`` in the order of their ids, which count from 1; ``aliases`` are other names -> class."""

    def __init__(self, classes: List[str], aliases: Dict[str, str]) -> None:
        self.classes, self.aliases = classes, aliases
        ids = {composed(name): number for number, name in enumerate(classes, 1)}
        others = {composed(alias): ids[composed(meant)] for alias, meant in aliases.items() if composed(meant) in ids}
        self._ids = dict(others, **ids)
        self._folded: Dict[str, List[str]] = {}
        for name in classes:
            self._folded.setdefault(folded(name), []).append(name)

    def id_of(self, written: str) -> Optional[int]:
        """The id of the class that ``written`` names, itself or by an alias, in any Unicode form; None: none."""
        return self._ids.get(composed(written))

    def nearly(self, written: str) -> List[str]:
        """The classes that differ from ``written`` only in what people write differently (``folded``)."""
        return self._folded.get(folded(written), [])


def composed(name: str) -> str:
    """A name with composed letters (Unicode NFC): macOS writes accents and Hangul apart, other systems do not."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """A class name without what people write differently: capitals, blanks, underscores, hyphens, full width."""
    return re.sub(r"[\s_\u2010-\u2015-]+", "", unicodedata.normalize("NFKC", name).casefold())
