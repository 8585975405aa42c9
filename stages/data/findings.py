"""What can be wrong in a dataset, and what is done about it: fail, drop or fix.

``fail`` stops with the finding as the error. ``drop`` leaves out what the finding is about: a picture with its XML, or
one object. ``fix`` mends it the one way that is not ambiguous; a finding that cannot be mended so is dropped.
"""

import difflib
from typing import Counter as CounterOf
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from stages.job import BadInput

FAIL, DROP, FIX = "fail", "drop", "fix"


class Kind(NamedTuple):
    """A kind of finding: ``about`` a picture or an object; what ``fix`` does, None where nothing is unambiguous."""

    about: str
    meaning: str
    fix: Optional[str]
    default: str


KINDS = {
    "no_image": Kind("picture", "an XML file without its photo", None, DROP),
    "no_xml": Kind(
        "picture",
        "a photo without XML: unlabelled, or without objects? Nobody can tell",
        "use it as a background picture without objects",
        DROP,
    ),
    "same_name": Kind(
        "picture",
        "several photos that one XML file could mean, such as a.jpg and a.png",
        "take the one that the XML's <filename> names",
        FIX,
    ),
    "damaged_xml": Kind("picture", "XML that cannot be read, or is not a VOC annotation", None, DROP),
    "unreadable_image": Kind("picture", "a photo that is empty, cut off or not a JPEG, PNG, BMP or WebP", None, DROP),
    "large_image": Kind(
        "picture", "a photo of more than dataset.max_megapixels: what it unpacks to would fill the memory", None, DROP
    ),
    "wrong_suffix": Kind(
        "picture",
        "a photo in another format than its name says, such as a PNG named .jpg",
        "read it as what it is",
        FIX,
    ),
    "size_mismatch": Kind(
        "picture",
        "a size in the XML unlike the photo's, upright or as stored",
        "scale the boxes if the shape is the same, as when photos were shrunk after labelling; "
        "take the photo's size if the XML gives none",
        FIX,
    ),
    "orientation_unclear": Kind(
        "picture",
        "an EXIF orientation that leaves the size as it is (upside down or "
        "mirrored), so that the XML does not tell which way its boxes were drawn",
        "take them as drawn on the upright photo, as labelling tools show it",
        FIX,
    ),
    "unknown_class": Kind(
        "object", "an object of a class that is not listed", "rename it if only capitals or blanks differ", DROP
    ),
    "bad_box": Kind("object", "a box without its four numbers", None, DROP),
    "flipped_box": Kind("object", "a box whose minimum is greater than its maximum", "swap the two", FIX),
    "empty_box": Kind("object", "a box without area", None, DROP),
    "outside_box": Kind("object", "a box that reaches outside the photo", "cut it at the edge", FIX),
    "small_box": Kind(
        "object",
        "a box under 3 pixels wide or high at training size: nothing to learn, and a cause of NaN losses",
        None,
        DROP,
    ),
    "duplicate_object": Kind("object", "an object that an earlier one repeats, class and box", None, DROP),
}


class DataFinding(NamedTuple):
    """One thing that is wrong. ``object`` counts from 1 in its XML; ``action`` is what was done: drop or fix."""

    kind: str
    file: str
    object: Optional[int]
    line: Optional[int]
    message: str
    action: str

    def sentence(self) -> str:
        place = self.file + (", line %d" % self.line if self.line else "")
        return "%s%s: %s" % (place, " (object %d)" % self.object if self.object else "", self.message)


def policies(chosen: Dict[str, str]) -> Dict[str, str]:
    """The policy of every kind: the defaults, overridden by ``chosen``.

    Raises:
        BadInput: an unknown kind, or a policy that the kind does not have.
    """
    for kind, policy in chosen.items():
        if kind not in KINDS:
            raise BadInput(
                "records.findings.%s: unknown kind of finding%s The kinds are: %s."
                % (kind, did_you_mean(kind, KINDS), ", ".join(KINDS))
            )
        allowed = (FAIL, DROP, FIX) if KINDS[kind].fix else (FAIL, DROP)
        if policy not in allowed:
            raise BadInput("records.findings.%s = %r: expected %s." % (kind, policy, " or ".join(allowed)))
    return dict({kind: entry.default for kind, entry in KINDS.items()}, **chosen)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``: did you mean 'cone'?`` where a known name is near, else a full stop."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), 1)
    return ": did you mean %r?" % by_lower[near[0]] if near else "."


class Findings:
    """The findings of one file or folder, each decided by its kind's policy as it is found."""

    def __init__(self, policy: Dict[str, str]) -> None:
        self.policy = policy
        self.found: List[DataFinding] = []

    def fixes(
        self,
        kind: str,
        file: str,
        message: str,
        place: Tuple[Optional[int], Optional[int]] = (None, None),
        fixable: bool = True,
    ) -> bool:
        """Note a finding; True if the caller is to mend it, False if to leave out what it is about.

        Args:
            place: the object's number and the line in the file, where known.
            fixable: whether the kind's fix can be applied here.

        Raises:
            BadInput: the policy of this kind is to fail.
        """
        action = FIX if self.policy[kind] == FIX and fixable else DROP
        finding = DataFinding(kind, file, place[0], place[1], message, action)
        if self.policy[kind] == FAIL:
            raise BadInput('%s (records.findings.%s = "fail")' % (finding.sentence(), kind))
        self.found.append(finding)
        return action == FIX


def summary(counts: CounterOf[str]) -> str:
    """``3 no_xml, 1 small_box``: the kinds found, the most frequent first."""
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join("%d %s" % (count, kind) for kind, count in frequent)
