"""What commands note for later ones: how a stage failed, and when its artifact was last read whole.

Notes only inform: a damaged one is none, and one that cannot be written stops nothing.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterable, NamedTuple, Optional, Tuple

from nanoforge.files.atomic import write_json
from stages.files import read

TIME_FORM = "%Y-%m-%d %H:%M:%S"
MOST_BYTES = 1 << 20


class Verification(NamedTuple):
    """When an artifact was last read whole, in local time, and whether it was as published."""

    when: str
    sound: bool


class KeptFindings(NamedTuple):
    """What a stage had found in the user's data when it failed: a file of JSON lines."""

    file: Path
    lines: int


class Notes:
    """The notes in a project's build folder; every one is of one stage and one fingerprint."""

    def __init__(self, build: Path) -> None:
        self._build = build

    def note_failure(self, stage: str, fingerprint: str, error: str) -> None:
        note(self._failure_file(stage), {"fingerprint": fingerprint, "error": error, "when": time.strftime(TIME_FORM)})

    def forget_failure(self, stage: str) -> None:
        for file in (self._failure_file(stage), self._findings_file(stage)):
            with suppress(OSError):
                file.unlink()

    def keep_findings(self, stage: str, found: Path) -> Optional[KeptFindings]:
        """Keep what the stage had found when it failed until it runs again; None where it had found nothing.

        Where there is no room for a copy, it is kept where it lies.
        """
        kept = self._findings_file(stage)
        with suppress(OSError):
            kept.unlink()
        try:
            with open(found, "rb") as stream:
                lines = sum(1 for _ in stream)
        except OSError:
            return None
        if not lines:
            return None
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, kept)
        except OSError:
            with suppress(OSError):
                kept.unlink()
            return KeptFindings(found, lines)
        return KeptFindings(kept, lines)

    def failure(self, stage: str, fingerprint: str) -> Optional[str]:
        """How the last run of exactly this work failed, or None."""
        found = noted(self._failure_file(stage))
        return str(found.get("error", "")) if found.get("fingerprint") == fingerprint else None

    def note_verification(self, stage: str, fingerprint: str, sound: bool) -> None:
        note(
            self._verification_file(stage),
            {"fingerprint": fingerprint, "when": time.strftime(TIME_FORM), "sound": sound},
        )

    def verification(self, stage: str, fingerprint: str) -> Optional[Verification]:
        """When this artifact was last read whole, or None."""
        found = noted(self._verification_file(stage))
        if found.get("fingerprint") != fingerprint:
            return None
        return Verification(str(found.get("when", "")), found.get("sound") is True)

    def oldest_verification(self, artifacts: Iterable[Tuple[str, str]]) -> str:
        """When the one of these (stage, fingerprint) was read whole that was not since longest, or "never"."""
        looks = [self.verification(stage, fingerprint) for stage, fingerprint in artifacts]
        return min((look.when if look else "" for look in looks), default="") or "never"

    def _failure_file(self, stage: str) -> Path:
        return self._build / "failures" / f"{stage}.json"

    def _findings_file(self, stage: str) -> Path:
        return self._build / "failures" / f"{stage}-findings.jsonl"

    def _verification_file(self, stage: str) -> Path:
        return self._build / "cache" / "verified" / f"{stage}.json"


def note(file: Path, value: Dict[str, Any]) -> None:
    """Write what only informs: a full disk or a removed folder must not hide why a command ends."""
    with suppress(OSError):
        write_json(file, value)


def noted(file: Path) -> Dict[str, Any]:
    """What was noted; empty where nothing was, or where it cannot be read."""
    try:
        value = json.loads(read(str(file), MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
