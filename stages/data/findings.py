"""What was found wrong in a dataset, and what was done about it; stages/finding_kinds.py has the kinds."""

import difflib
from typing import Counter as CounterOf
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from stages.finding_kinds import DROP, FAIL, FIX, KINDS
from stages.job import BadInput


class DataFinding(NamedTuple):
    """One thing that is wrong. ``object`` counts from 1 in its XML; ``action`` is what was done: drop or fix."""

    kind: str
    file: str
    object: Optional[int]
    line: Optional[int]
    message: str
    action: str

    def sentence(self) -> str:
        """Where, what, what was done, and how to mend the data: the kind's remedy comes last."""
        kind = KINDS[self.kind]
        place = self.file + (", line %d" % self.line if self.line else "")
        object_words = " (object %d)" % self.object if self.object else ""
        done = {DROP: " The %s is left out." % kind.about, FIX: " Done: %s." % (kind.fix or "").split(";")[0]}.get(
            self.action, ""
        )
        told = self.message if self.message.endswith("?") else self.message + "."
        return "%s%s: %s%s %s." % (place, object_words, told, done, kind.remedy)


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
        action = DROP if self.policy[kind] == FIX and not fixable else self.policy[kind]
        finding = DataFinding(kind, file, place[0], place[1], message, action)
        if action == FAIL:
            raise BadInput('records.findings.%s = "fail": %s' % (kind, finding.sentence()))
        self.found.append(finding)
        return action == FIX


def summary(counts: CounterOf[str]) -> str:
    """``3 no_xml, 1 small_box``: the kinds found, the most frequent first."""
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join("%d %s" % (count, kind) for kind, count in frequent)
