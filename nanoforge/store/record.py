"""``record.json``, how an artifact came to be: sealed with a digest, so that what was changed later is not believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping

import msgspec
from msgspec import Struct

from nanoforge.files.digests import json_digest, listing_digest, sha256_text
from nanoforge.store.provenance import statement
from stages.files import MADE, read

RECORD = "record.json"
PROVENANCE = "provenance.json"
FOLDER_DIGITS = 20
MOST_BYTES = 1 << 30  # of a record: millions of files

# Raise when the form of a record changes, and say what changed.
RECORD_FORMAT = 2
WHAT_CHANGED = "was made by an earlier Nanoforge, whose records had no digest of their own, so it is made once more"


class UnusableRecord(Exception):
    """Why an artifact's record is not believed, as the words that follow the artifact's path."""


class _FileForm(Struct):
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class _RecipeForm(Struct):
    version: int
    stage: str
    code: Dict[str, str]
    locks: Dict[str, str]
    parameters: Dict[str, Any]
    inputs: Dict[str, str]
    image: str = ""


class _RecordForm(Struct):
    format: int
    stage: str
    fingerprint: str
    artifact_digest: str
    provenance_digest: str
    record_digest: str
    files: Dict[str, _FileForm]
    recipe: _RecipeForm
    environment: str
    runner: str
    started: str
    seconds: float
    metrics: Dict[str, Any]
    warnings: List[str]
    tools: Dict[str, str]
    aids: Dict[str, str] = {}


def complete(record: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """The record of an artifact with these files, sealed.

    Args:
        record: the recipe, and how the stage ran.
        files: path -> size, mtime_ns, ctime_ns and sha256.
    """
    described = {
        **record,
        "format": RECORD_FORMAT,
        "stage": record["recipe"]["stage"],
        "fingerprint": json_digest(record["recipe"]),
        "artifact_digest": _digest_of(files),
        "files": dict(files),
    }
    described["provenance_digest"] = sha256_text(provenance_text(described))
    return {**described, "record_digest": json_digest(described)}


def provenance_text(record: Mapping[str, Any]) -> str:
    return json.dumps(statement(record), indent=1, sort_keys=True)


def read_record(folder: Path, stage: str) -> Dict[str, Any]:
    """The record of the artifact of ``stage`` in ``folder``.

    Raises:
        UnusableRecord: it is not there or damaged, or it is that of another artifact.
    """
    try:
        record = json.loads(read(str(folder / RECORD), MOST_BYTES))
        _check(record, folder, stage)
    except FileNotFoundError:
        raise UnusableRecord(f"is damaged: {RECORD} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnusableRecord(f"is damaged: {RECORD} cannot be read: {error}") from None
    found: Dict[str, Any] = record
    return found


def _check(record: Any, folder: Path, stage: str) -> None:
    if isinstance(record, dict) and record.get("format") == 1 and "record_digest" not in record:
        raise UnusableRecord(WHAT_CHANGED)
    rest = {key: value for key, value in record.items() if key != "record_digest"} if isinstance(record, dict) else None
    if rest is None or json_digest(rest) != record.get("record_digest"):
        raise UnusableRecord(f"is damaged: {RECORD} is not what was written")
    try:
        msgspec.convert(record, _RecordForm)
    except msgspec.ValidationError as error:
        raise UnusableRecord(f"was made by another Nanoforge ({RECORD}: {error})") from None
    if record["format"] != RECORD_FORMAT:
        raise UnusableRecord(f"was made by another Nanoforge, whose records have format {record['format']}")
    if not _is_of(record, folder, stage):
        raise UnusableRecord("is damaged: it is another artifact than its place says")


def _is_of(record: Mapping[str, Any], folder: Path, stage: str) -> bool:
    """Whether stage, recipe, fingerprint, files and the folder's name say the same."""
    return bool(
        record["stage"] == record["recipe"]["stage"] == stage
        and record["fingerprint"] == json_digest(record["recipe"])
        and folder.name == record["fingerprint"][:FOLDER_DIGITS]
        and record["artifact_digest"] == _digest_of(record["files"])
    )


def _digest_of(files: Mapping[str, Mapping[str, Any]]) -> str:
    return listing_digest({path: entry["sha256"] for path, entry in files.items() if path != MADE})
