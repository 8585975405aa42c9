"""How an artifact came to be, in the form that supply-chain tools read: an in-toto statement with SLSA provenance.

Forms: https://in-toto.io/Statement/v1 and https://slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping

BUILD_TYPE = "urn:nanoforge:stage:v1"
BUILDER = "urn:nanoforge:runner:"
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"


def statement(record: Mapping[str, Any]) -> Dict[str, Any]:
    """The provenance statement of an artifact, from its completed record."""
    recipe = record["recipe"]
    finished = datetime.strptime(record["started"], TIME_FORM) + timedelta(seconds=record["seconds"])
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [_resource("name", path, entry["sha256"]) for path, entry in sorted(record["files"].items())],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"stage": record["stage"], "parameters": recipe["parameters"]},
                "internalParameters": {"environment": record["environment"], "tools": record["tools"], **_aids(record)},
                "resolvedDependencies": _dependencies(recipe),
            },
            "runDetails": {
                "builder": {"id": BUILDER + record["runner"]},
                "metadata": {
                    "invocationId": record["fingerprint"],
                    "startedOn": record["started"],
                    "finishedOn": finished.strftime(TIME_FORM),
                },
            },
        },
    }


def _aids(record: Mapping[str, Any]) -> Dict[str, Any]:
    """What spared work, and changed nothing in what came out: no dependency, but not kept back either."""
    aids = [_resource("name", name, digest) for name, digest in sorted(record.get("aids", {}).items())]
    return {"aids": aids} if aids else {}


def _dependencies(recipe: Mapping[str, Any]) -> List[Dict[str, Any]]:
    inputs = {f"urn:nanoforge:input:{name}": digest for name, digest in recipe["inputs"].items()}
    files = {f"file:{path}": digest for path, digest in {**recipe["code"], **recipe["locks"]}.items()}
    image = {"urn:nanoforge:image": recipe["image"].split(":")[-1]} if recipe.get("image") else {}
    return [_resource("uri", name, digest) for name, digest in sorted({**inputs, **files, **image}.items())]


def _resource(kind: str, name: str, digest: str) -> Dict[str, Any]:
    return {kind: name, "digest": {"sha256": digest}}
