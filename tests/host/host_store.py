"""A store without a pipeline: recipes, outputs and artifacts made of a few words."""

import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import pytest

from nanoforge.files.digests import DigestCache, json_digest
from nanoforge.store.folders import StageFolders
from nanoforge.store.store import ArtifactFolder, Store

OWNER = "here:/home/me/detector"
FILES = {"a.txt": "one", "deep/b.txt": "two"}


def store_in(build: Path, owner: str = OWNER, digests: Optional[DigestCache] = None, **elsewhere: Path) -> Store:
    digests = digests or DigestCache(build / "cache" / "digests", pytest.fail)
    return Store(build, digests, StageFolders(build, elsewhere, owner))


def recipe(stage: str = "records", **parameters: Any) -> Dict[str, Any]:
    return {
        "version": 2,
        "stage": stage,
        "parameters": {"seed": 4, **parameters},
        "inputs": {"photos": "1" * 64},
        "code": {"stages/data/records.py": "2" * 64},
        "locks": {"docker/data/requirements.lock": "3" * 64},
    }


def how(stage: str = "records", **parameters: Any) -> Dict[str, Any]:
    """What the pipeline knows of an artifact when it is published."""
    return {
        "recipe": recipe(stage, **parameters),
        "environment": "data",
        "tools": {"python": "3.11"},
        "runner": "local",
        "started": "2026-11-27T23:59:58Z",
        "seconds": 3.2,
        "metrics": {"images": 3},
        "warnings": ["a photo is dark"],
    }


def fingerprint(stage: str = "records", **parameters: Any) -> str:
    return json_digest(recipe(stage, **parameters))


def output(store: Store, stage: str = "records", files: Mapping[str, str] = FILES, **parameters: Any) -> Path:
    """A work folder's output as a stage leaves it."""
    folder = store.work_folder(stage, fingerprint(stage, **parameters)) / "output"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def publish(
    store: Store, stage: str = "records", files: Mapping[str, str] = FILES, **parameters: Any
) -> ArtifactFolder:
    """Publish as the pipeline does, whatever an earlier try left in the work folder."""
    store.prepare([stage])
    shutil.rmtree(store.work_folder(stage, fingerprint(stage, **parameters)), ignore_errors=True)
    artifact = store.publish(output(store, stage, files, **parameters), how(stage, **parameters))
    store.drop_work(stage, artifact.fingerprint)
    return artifact
