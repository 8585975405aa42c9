"""What `records.findings` says of kinds of findings, held against the kinds that there are."""

from __future__ import annotations

from typing import Any, Iterator

from nanoforge.config.entries import shown
from nanoforge.config.spelling import did_you_mean
from stages.finding_kinds import DROP, FAIL, FIX, KINDS

SPELLED = "records.findings"


def problems_of_policies(table: Any) -> Iterator[str]:
    """A kind that there is not, and ``fix`` for one that nothing mends; words that are no policy have their own fault.

    Args:
        table: kind -> policy, as somebody stated it; what is no table has its own fault likewise.
    """
    for kind, policy in table.items() if isinstance(table, dict) else ():
        if kind not in KINDS:
            meant = did_you_mean(kind, KINDS) or "; docs/findings.md has them all"
            yield f"{SPELLED}.{kind}: unknown kind of finding{meant}"
        elif policy == FIX and not KINDS[kind].fix:
            yield f"{SPELLED}.{kind} = {shown(policy)}: expected one of {FAIL}, {DROP}, for nothing mends {kind}"
