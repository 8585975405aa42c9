"""What records found wrong with the data, left out or mended: their findings.jsonl, read line by line."""

import json
import os
from typing import Any, Dict, List, Tuple

from stages import files
from stages.finding_kinds import DROP, FIX, KINDS
from stages.job import BadInput

FILE = "findings.jsonl"
MOST_EXAMPLES = 5  # of a kind
WORDS = {DROP: "left out", FIX: "mended"}
SHOWN = ("file", "object", "line", "message")


def findings(folder: str) -> List[Dict[str, Any]]:
    """One entry for each kind and action, the most frequent first.

    Each has ``kind``, ``action`` ("left out" or "mended"), ``count``, ``about`` (picture or object), ``meaning``,
    ``remedy``, ``in_viewer`` (its pictures are in the records), and ``examples``, the first of them with ``file``,
    ``object``, ``line`` and ``message``.

    Raises:
        BadInput: a line is damaged; the message names it.
    """
    counts: Dict[Tuple[str, str], int] = {}
    examples: Dict[Tuple[str, str], List[Dict[str, Any]]] = {}
    try:
        with files.opened(os.path.join(folder, FILE)) as stream:
            for number, text in enumerate(stream, 1):
                finding = _checked(text, number)
                key = finding["kind"], finding["action"]
                counts[key] = counts.get(key, 0) + 1
                if len(examples.setdefault(key, [])) < MOST_EXAMPLES:
                    examples[key].append({name: finding.get(name) for name in SHOWN})
    except OSError as error:
        raise _unusable("cannot be read: %s" % error.strerror) from error
    return [
        {
            "kind": kind,
            "action": WORDS[action],
            "count": count,
            "about": KINDS[kind].about,
            "meaning": KINDS[kind].meaning,
            "remedy": KINDS[kind].remedy,
            "in_viewer": action == FIX or KINDS[kind].about == "object",
            "examples": examples[kind, action],
        }
        for (kind, action), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


def counted(found: List[Dict[str, Any]], *kinds: str) -> int:
    """How many findings there are of these kinds, whatever was done about them."""
    return sum(one["count"] for one in found if one["kind"] in kinds)


def _checked(text: bytes, number: int) -> Dict[str, Any]:
    try:
        finding = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _unusable("is damaged in line %d: it is not JSON" % number) from None
    known = isinstance(finding, dict) and finding.get("kind") in KINDS and finding.get("action") in WORDS
    if not known or not isinstance(finding.get("file"), str) or not isinstance(finding.get("message"), str):
        raise _unusable("is damaged in line %d: it is no finding" % number)
    checked: Dict[str, Any] = finding
    return checked


def _unusable(fault: str) -> BadInput:
    return BadInput("%s of the records artifact %s: make it again with ./run records." % (FILE, fault))
