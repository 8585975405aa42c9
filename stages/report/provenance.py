"""How each artifact came to be, from the record.json that the host wrote beside it."""

from typing import Any, Dict, List, Sequence

from stages.pages.artifact import Artifact


def history_of(artifacts: Dict[str, Artifact]) -> List[Dict[str, Any]]:
    """The records of the artifacts that have one, in the order of the stages.

    Each record also gets ``made_from``: for every input its ``name``, ``digest``, and ``stage``, the stage of this
    report whose artifact has that digest, or None: the input came from outside, or from an artifact not shown here.
    """
    records = [record for record in (artifact.record() for artifact in artifacts.values()) if record is not None]
    makers = {record["artifact_digest"]: record["stage"] for record in records}
    return [dict(record, made_from=_made_from(record, makers)) for record in records]


def warnings_of(history: Sequence[Dict[str, Any]]) -> List[Dict[str, str]]:
    """All warnings with the ``stage`` they belong to: what the stages said, and artifacts that do not fit together."""
    warnings = []
    shown = {record["stage"] for record in history}
    for record in history:
        warnings += [{"stage": record["stage"], "text": text} for text in record.get("warnings", [])]
        warnings += [
            {"stage": record["stage"], "text": _made_from_another(source["name"])}
            for source in record["made_from"]
            if source["name"] in shown and source["stage"] is None
        ]
    return warnings


def _made_from(record: Dict[str, Any], makers: Dict[str, str]) -> List[Dict[str, Any]]:
    inputs = record["recipe"].get("inputs", {})
    return [{"name": name, "digest": inputs[name], "stage": makers.get(inputs[name])} for name in sorted(inputs)]


def _made_from_another(name: str) -> str:
    return "It was made from another %s artifact than the one shown here." % name
