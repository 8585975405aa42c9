"""The whole chain for real, on a tiny dataset: TensorFlow 1.12 trains, the graph is converted, boxes are drawn.

One small detector is built once; the tests look at it, and break and mend it, in the order in which they stand.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.jetpack import FAKES, PACKAGES, stand_in

CLONE = Path(__file__).resolve().parents[2]
CONFIG = """
[dataset]
rendered_pictures = 24
classes = ["cone", "ball", "mug"]

[records]
validation_fraction = 0.4

[model]
architecture = "ssd_mobilenet_v1"
depth_multiplier = 0.25
input_size = 96

[train]
steps = 40
batch_size = 4
evaluate_every = 20

[export]
score_threshold = 0.001

[detect]
score_threshold = 0.01

[runner]
use = "local"
"""
CHAIN = ["render", "records", "train", "evaluate", "export", "audit", "convert", "detect", "report"]


def run(*arguments, cwd, code=0):
    done = subprocess.run([str(CLONE / "run"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def stage_rows(folder):
    return {row["name"]: row for row in json.loads(run("status", "--json", cwd=folder).stdout)["stages"]}


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain") / "detector"
    folder.mkdir()
    (folder / "detector.toml").write_text(CONFIG)
    run("build", cwd=folder)
    return folder


def test_everything_is_fresh_and_measured(detector):
    rows = stage_rows(detector)
    assert [name for name in CHAIN if rows[name]["state"] != "fresh"] == []
    assert rows["records"]["metrics"]["images"] == 24
    assert {"boxes", "dropped", "findings"} <= set(rows["records"]["metrics"])
    assert {"mAP", "mAP@0.5"} <= set(rows["evaluate"]["metrics"])
    parity = rows["convert"]["metrics"]["parity"]
    assert set(parity) == {"detections", "matched", "max_score_diff", "min_iou"}
    assert parity["matched"] == parity["detections"]


def test_a_second_build_runs_nothing(detector):
    said = run("build", cwd=detector).stderr
    assert [line for line in said.splitlines() if line.endswith(": fresh")] == [f"{name}: fresh" for name in CHAIN]


def test_a_trial_tells_what_it_found_and_leaves_the_artifacts_alone(detector):
    before = {name: os.readlink(detector / "build" / name) for name in CHAIN}
    small = ["--set", "train.steps=20", "--set", "model.input_size=96", "--set", "train.batch_size=4"]
    said = run("build", "--trial", *small, cwd=detector).stderr
    told = re.sub(r"\d[\d.e+-]*", "N", said[said.index("\n  pictures ") :])
    assert re.search(r"  pictures    N used of N taken[^;]*; N left out; N of N boxes used\n", told)
    assert re.search(r"\n  classes     (ball|cone|mug) \(N boxes\), ", told)
    assert "\n  training    loss N at first, N at the end of N steps\n" in told
    assert " pictures kept for validation (mAP@N N)\n" in told
    assert "\n  proof       N of N detections equal" in told or "\n  proof       heads and boxes equal" in told
    for name in ("report/report.html", "detect/pictures", "convert/model.uff"):
        assert (detector / "build/trial" / name).exists()
    assert {name: os.readlink(detector / "build" / name) for name in CHAIN} == before


def test_the_artifacts_are_where_the_docs_say(detector):
    build = detector / "build"
    for name in (
        "records/label_map.pbtxt",
        "records/dataset.json",
        "train/checkpoints.json",
        "train/pipeline.config",
        "evaluate/evaluation.json",
        "export/frozen_inference_graph.pb",
        "audit/audit.json",
        "audit/audit.txt",
        "convert/model.uff",
        "convert/model.json",
        "convert/labels.txt",
        "convert/parity.json",
        "detect/detections.json",
        "report/report.html",
    ):
        assert (build / name).stat().st_size > 0, name
    assert "/" + "tmp" not in (build / "train/pipeline.config").read_text()
    assert list((build / "detect/pictures").iterdir())


def test_the_deterministic_stages_give_the_same_bytes_again(detector):
    def digests():
        return {
            name: json.loads((detector / "build" / name / "record.json").read_text())["artifact_digest"]
            for name in ("records", "export", "audit", "convert")
        }

    before = digests()
    for stage in ("records", "export", "audit", "convert"):
        run("clean", "--stage", stage, "--yes", cwd=detector)
    run("build", cwd=detector)
    after = digests()
    assert after == before


def test_detect_draws_on_pictures_that_the_user_names(detector, tmp_path):
    picture = next((detector / "build/render/JPEGImages").iterdir())
    shutil.copy(picture, tmp_path / "mine.jpg")
    run(
        "detect",
        "--media",
        str(tmp_path / "mine.jpg"),
        "--config",
        str(detector),
        "--set",
        "detect.score_threshold=0.02",
        cwd=tmp_path,
    )
    found = json.loads((detector / "build/detect/detections.json").read_text())
    assert [entry["width"] for entry in found["pictures"]] == [1920]
    assert len(list((detector / "build/detect/pictures").iterdir())) == 1


def test_an_engine_of_the_detector_finds_what_the_reference_finds_and_is_in_the_report(detector, tmp_path, monkeypatch):
    """On this machine with a simulated TensorRT, as on a board without Docker."""
    assert "needs a Jetson" in stage_rows(detector)["build-engine"]["reasons"][0]
    run("detect", cwd=detector)
    here = json.loads((detector / "build/detect/detections.json").read_text())
    packages = Path(os.environ["NANOFORGE_TRAIN_PYTHON"]).parents[1] / PACKAGES
    monkeypatch.setenv("JETSON_PYTHON", str(stand_in(tmp_path / "jetpack", FAKES, CLONE, packages)))
    run("bench-engine", "--set", "bench_engine.runs=10", cwd=detector)
    parity = json.loads((detector / "build/build-engine/parity.json").read_text())
    assert parity["samples"] == len(here["pictures"]) and parity["failures"] == []
    run("detect", "--backend", "tensorrt", cwd=detector)
    there = json.loads((detector / "build/detect/detections.json").read_text())
    best = [[picture["detections"][0]["class"] for picture in found["pictures"]] for found in (here, there)]
    assert best[0] == best[1]
    run("report", cwd=detector)
    assert "TensorRT 8.2.1" in (detector / "build/report/report.html").read_text(encoding="utf-8")


def test_preview_shows_an_intermediate_checkpoint(detector):
    run("preview", "--checkpoint", "20", "--set", "preview.pictures=2", cwd=detector)
    assert len(list((detector / "build/preview/pictures").iterdir())) == 2


def test_a_foreign_graph_is_audited_and_converted_without_a_project(detector, tmp_path):
    graph = detector / "build/export/frozen_inference_graph.pb"
    here = ["--runner", "local"]
    audit = json.loads(run("audit", "--graph", str(graph), "--json", *here, cwd=tmp_path).stdout)
    assert audit["verdict"] == "convertible"
    pipeline = detector / "build/export/pipeline.config"
    told = run(
        "convert", "--graph", str(graph), "--pipeline-config", str(pipeline), "--out", "with", "--json", *here,
        cwd=tmp_path,
    )  # fmt: skip
    result = json.loads(told.stdout)
    assert result["verdict"] == "convertible" and Path(result["uff"]).is_file()
    assert result["parity"]["matched"] == result["parity"]["detections"]
    assert Path(result["uff"]).read_bytes() == (detector / "build/convert/model.uff").read_bytes()
    run("convert", "--graph", str(graph), "--out", "without", *here, cwd=tmp_path)
    assert (tmp_path / "without/model.uff").read_bytes() == Path(result["uff"]).read_bytes()


def test_what_is_no_graph_is_refused_with_json_and_nothing_is_written(tmp_path):
    graph = tmp_path / "graph.pb"
    graph.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    here = ["--runner", "local"]
    refused = run("convert", "--graph", str(graph), "--out", "out", "--json", *here, cwd=tmp_path, code=2)
    assert json.loads(refused.stdout)["verdict"] == "refused"
    assert "LFS" in refused.stderr and "Traceback" not in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.pb"]
    told = run("audit", "--graph", str(graph), "--json", *here, cwd=tmp_path, code=2)
    assert json.loads(told.stdout)["verdict"] == "refused"


LOCAL = ("--runner", "local")


def test_a_uff_is_inspected_and_compared(detector, tmp_path):
    uff = detector / "build/convert/model.uff"
    said = run("inspect", uff, *LOCAL, cwd=tmp_path).stdout
    assert "Outputs: [NMS]" in said and "would object to: nothing known" in said
    graph = detector / "build/export"
    found = json.loads(run("inspect", graph, "--json", *LOCAL, cwd=tmp_path).stdout)
    assert found["kind"] == "graph" and found["operations"]["Conv2D"] > 20
    assert "Differences: none" in run("inspect", uff, "--against", uff, *LOCAL, cwd=tmp_path).stdout
    assert "only two of one kind" in run("inspect", uff, "--against", graph, *LOCAL, cwd=tmp_path, code=2).stderr


def test_a_uff_runs_on_arrays_and_its_outputs_appear_whole(detector, tmp_path):
    uff = detector / "build/convert/model.uff"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\0v\0" + npy_header("<f4", (1, 3, 96, 96)) + bytes(4 * 3 * 96 * 96))
    said = run("run-uff", uff, "--input", "x.npy", "--output", "y.npz", *LOCAL, cwd=tmp_path).stdout
    assert "NMS: float32 [1, 1, 100, 7]" in said and "NMS_1: int32 [1, 1, 1, 1]" in said
    with zipfile.ZipFile(tmp_path / "y.npz") as archive:
        assert archive.namelist() == ["NMS.npy", "NMS_1.npy"]
    refused = run("run-uff", uff, "--input", "x.npy", "--output", "y.npz", *LOCAL, cwd=tmp_path, code=2)
    assert "exists already" in refused.stderr
    run("run-uff", uff, "--input", "Picture=x.npy", "--output", "z.npz", *LOCAL, cwd=tmp_path, code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "y.npz"]


def npy_header(kind, shape):
    """The rest of a .npy file's head, 118 bytes (numpy.lib.format): this environment has no numpy."""
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"


def test_a_training_killed_at_any_moment_goes_on_from_its_checkpoint(detector):
    """kill -9 of the command while it trains; `preview --running` looks at what there is; the next command ends it."""
    longer = ["--set", "train.steps=50"]
    command = subprocess.Popen([str(CLONE / "run"), "train", *longer], cwd=detector, stderr=subprocess.DEVNULL)
    _wait_for(lambda: next(iter((detector / "build/store/train").glob("work-*/scratch/checkpoints/*-20.index")), None))
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    shown = run("preview", "--running", *longer, "--set", "preview.pictures=1", cwd=detector).stdout.strip()
    assert len(list((Path(shown) / "pictures").iterdir())) == 1
    run("train", *longer, cwd=detector)
    log = max((detector / "build/logs").glob("train-*.log"), key=lambda path: path.stat().st_mtime).read_text()
    first = json.loads(re.search(r'::nanoforge:: ({"progress".*)', log).group(1))["progress"]
    assert 20 <= first["done"] < 50
    history = json.loads((detector / "build/train/history.json").read_text())
    assert [entry["step"] for entry in history["evaluation"]] == [20, 40, 50]


def _wait_for(look, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("waited in vain")


def test_records_are_the_same_bytes_on_every_python(tmp_path):
    """The data environment on each Python of this machine renders and writes the same bytes."""
    pythons = _data_pythons()
    assert len(pythons) >= 2, "only one Python from 3.8 on was found; install another, for instance with pyenv"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = dict(
            zip(pythons, pool.map(lambda version: _records_digest(pythons[version], tmp_path / version), pythons))
        )
    assert len(set(digests.values())) == 1, digests


def _data_pythons():
    """Version -> a Python: that of the data environment, and other ones to make it from."""
    made = os.environ["NANOFORGE_DATA_PYTHON"]
    version = subprocess.run([made, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    found = {version.rpartition(".")[0]: Path(made)}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in (8, 11, 12, 13):
        for python in sorted(root.glob(f"3.{minor}.*/bin/python"))[:1]:
            found.setdefault(f"3.{minor}", python)
    return found


def _records_digest(python, folder):
    if str(python) != os.environ["NANOFORGE_DATA_PYTHON"]:
        python = _data_environment(python, folder / "venv")
    folder.mkdir(exist_ok=True)
    _stage(python, "demo.render", folder, {}, {"pictures": 8, "seed": 0})
    rendered = {
        name: str(folder / "render" / part) for name, part in (("photos", "JPEGImages"), ("annotations", "Annotations"))
    }
    parameters = {
        "classes": ["cone", "ball", "mug"],
        "image_size": [96, 128],
        "encoding": "png",
        "jpeg_quality": 95,
        "seed": 0,
        "aliases": {},
        "boxes": "auto",
        "sizes": "xml",
        "split": "auto",
        "validation_fraction": 0.5,
        "accept_losses": True,
        "limit": 0,
        "pictures_per_shard": 3,
        "max_megapixels": 100,
        "findings": {},
    }
    _stage(python, "data.records", folder, rendered, parameters)
    files = [path for name in ("render", "records") for path in sorted((folder / name).rglob("*")) if path.is_file()]
    assert len(files) > 20
    return hash(tuple((path.name, path.read_bytes()) for path in files))


def _data_environment(python, folder):
    subprocess.run([str(python), "-m", "venv", str(folder)], check=True)
    made = folder / "bin" / "python"
    lock = CLONE / "docker/data/requirements.lock"
    pip = [str(made), "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", str(lock)]
    subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)
    return made


def _stage(python, module, folder, inputs, parameters):
    name = module.rpartition(".")[2]
    (folder / name).mkdir()
    (folder / f"{name}-scratch").mkdir()
    job = folder / f"{name}.json"
    work = {"stage": name, "inputs": inputs, "output": str(folder / name), "scratch": str(folder / f"{name}-scratch")}
    job.write_text(json.dumps({**work, "parameters": parameters, "cpus": 2}))
    environment = {**os.environ, "PYTHONPATH": str(CLONE), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-m", f"stages.{module}", str(job)]
    subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
