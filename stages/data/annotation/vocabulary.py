"""The classes of a detector, and which of them a name in an XML file means."""

import re
import unicodedata
from typing import Dict, List, NamedTuple, Optional


class Vocabulary(NamedTuple):
    """``classes`` in the order of their ids, which count from 1; ``aliases`` are other names -> class."""

    classes: List[str]
    aliases: Dict[str, str]

    def id_of(self, written: str) -> Optional[int]:
        """The id of the class that ``written`` names, itself or by an alias, in any Unicode form; None: none."""
        ids = {composed(name): number for number, name in enumerate(self.classes, 1)}
        name = composed(written)
        others = {composed(alias): composed(meant) for alias, meant in self.aliases.items()}
        return ids.get(name) or ids.get(others.get(name, ""))

    def nearly(self, written: str) -> List[str]:
        """The classes that differ from ``written`` only in what people write differently (``folded``)."""
        return [name for name in self.classes if folded(name) == folded(written)]


def composed(name: str) -> str:
    """A name with composed letters (Unicode NFC): macOS writes accents and Hangul apart, other systems do not."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """A class name without what people write differently: capitals, blanks, underscores, hyphens, full width."""
    return re.sub(r"[\s_\u2010-\u2015-]+", "", unicodedata.normalize("NFKC", name).casefold())
