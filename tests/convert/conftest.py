"""Frozen graphs to convert: tiny SSDs, made by object_detection's own model builder, with random weights."""

import importlib
import json
import os
import subprocess
import sys
from typing import Any, Callable, Dict, List, NamedTuple

import convert_helpers as helpers
import pytest
import tensorflow as tf
from ssd_graphs import ARCHITECTURES, build, pipeline

import stages.job
from stages.convert.graph.analysis import analyse
from tests.fakes import light_graphs

light_graphs.install()
graphs_go_with_their_module = light_graphs.graphs_go_with_their_module


class Exported(NamedTuple):
    graph: str
    config: str
    classes: int


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


class Ran(NamedTuple):
    code: int
    events: List[Dict[str, Any]]
    log: str
    output: str


@pytest.fixture(scope="session")
def examined(exported: Exported) -> Any:
    """The analysis of :func:`exported`, held against its pipeline.config. Nothing in it may be changed."""
    return analyse(exported.graph, exported.config)


@pytest.fixture
def run_stage(tmp_path: Any, capfd: Any) -> Callable[..., Ran]:
    """``run_stage("convert", graph=path, …)`` runs a stage's program as the host does, but in this process."""

    def run(stage: str, name: str = "output", **inputs: str) -> Ran:
        job = write_job(tmp_path, name, stage, inputs)
        main = importlib.import_module("stages.convert." + stage).main
        capfd.readouterr()
        try:
            stages.job.run(main, [job])
            code = 0
        except SystemExit as ended:
            code = ended.code
        captured = capfd.readouterr()
        return ran(code, captured.out + captured.err, tmp_path / name)

    return run


@pytest.fixture
def start_stage(tmp_path: Any) -> Callable[..., Ran]:
    """The same in a process of its own, with the hash seed given; for what depends on that."""

    def start(stage: str, hash_seed: str = "random", name: str = "output", to: str = "uff", **inputs: str) -> Ran:
        job = write_job(tmp_path, name, stage, inputs, **({"to": to} if stage == "convert" else {}))
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        done = subprocess.run(
            [sys.executable, "-m", "stages.convert." + stage, job],
            cwd=root,
            env=dict(os.environ, PYTHONPATH=root, PYTHONHASHSEED=hash_seed),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        return ran(done.returncode, done.stdout, tmp_path / name)

    return start


def write_job(folder: Any, name: str, stage: str, inputs: Dict[str, str], **parameters: Any) -> str:
    """Make the folder for the output ``name``, and the job file, whose path is returned."""
    (folder / name).mkdir()
    (folder / (name + "-scratch")).mkdir()
    path = folder / (name + ".json")
    made = helpers.description(stage, str(folder / name), str(folder / (name + "-scratch")), inputs, **parameters)
    path.write_text(json.dumps(made))
    return str(path)


def ran(code: Any, log: str, output: Any) -> Ran:
    events = [
        json.loads(line[len(stages.job.EVENT_MARK) :])
        for line in log.splitlines()
        if line.startswith(stages.job.EVENT_MARK)
    ]
    return Ran(code, events, log, str(output))
