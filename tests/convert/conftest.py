"""Frozen graphs to convert: tiny SSDs, made by object_detection's own model builder, with random weights."""

import json
import os
import subprocess
import sys
from typing import Any, Callable, Dict, List, NamedTuple

import pytest
import tensorflow as tf
from ssd_graphs import ARCHITECTURES, build, pipeline

Exported = NamedTuple("Exported", [("graph", str), ("config", str), ("classes", int)])


@pytest.fixture(scope="session")
def export(tmp_path_factory: Any) -> Callable[..., Exported]:
    """``export("v1", fixed=True, **options)`` -> an export folder; made once a session for the same arguments."""
    made: Dict[str, Exported] = {}

    def export_once(architecture: str = "v1", fixed: bool = True, **options: Any) -> Exported:
        key = json.dumps([architecture, fixed, options], sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp(architecture)
            values = dict(ARCHITECTURES[architecture], **options)
            (folder / "pipeline.config").write_text(pipeline(**values))
            definition = build(pipeline(**values), fixed)
            (folder / "frozen_inference_graph.pb").write_bytes(definition.SerializeToString(deterministic=True))
            made[key] = Exported(
                str(folder / "frozen_inference_graph.pb"), str(folder / "pipeline.config"), values.get("classes", 2)
            )
        return made[key]

    return export_once


@pytest.fixture(scope="session")
def exported(export: Callable[..., Exported]) -> Exported:
    """The graph that most tests use: mobilenet_v1, 128 x 128, 2 classes, batch of 1."""
    return export("v1")


@pytest.fixture(scope="session")
def definition(exported: Exported) -> Any:
    """A copy may be damaged; this one must not."""
    with open(exported.graph, "rb") as stream:
        return tf.GraphDef.FromString(stream.read())


Ran = NamedTuple("Ran", [("code", int), ("events", List[Dict[str, Any]]), ("log", str), ("output", str)])


@pytest.fixture
def run_stage(tmp_path: Any) -> Callable[..., Ran]:
    """``run_stage("convert", graph=path, …)`` runs a stage as the host does, in a process of its own."""

    def run(stage: str, parameters: Any = None, hash_seed: str = "random", name: str = "output", **inputs: str) -> Ran:
        output, scratch = tmp_path / name, tmp_path / (name + "-scratch")
        output.mkdir()
        scratch.mkdir()
        job = tmp_path / (name + ".json")
        job.write_text(
            json.dumps(
                {
                    "stage": stage,
                    "inputs": inputs,
                    "output": str(output),
                    "scratch": str(scratch),
                    "parameters": parameters or {},
                    "cpus": 1,
                }
            )
        )
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        done = subprocess.run(
            [sys.executable, "-m", "stages.convert." + stage, str(job)],
            cwd=root,
            env=dict(os.environ, PYTHONPATH=root, PYTHONHASHSEED=hash_seed),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        mark = "::nanoforge:: "
        events = [json.loads(line[len(mark) :]) for line in done.stdout.splitlines() if line.startswith(mark)]
        return Ran(done.returncode, events, done.stdout, str(output))

    return run
