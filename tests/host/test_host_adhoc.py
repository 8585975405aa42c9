"""A program run once: within the limits, at a place that can take its result, and nothing of it left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_host_endings import PYTHONPATH, run, says
from test_host_runner import SCRIPT

from nanoforge.commands.options import StageOptions
from nanoforge.console import Console
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files import logs
from nanoforge.files.scratch import PREFIX, scratch_folder
from nanoforge.pipeline import adhoc
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.build import metric_words
from nanoforge.pipeline.stages import STAGES

LOOK = """
import json, os
from stages import job
def main(work):
    with open(work.out("look.json"), "w") as stream:
        json.dump([work.cpus, len(os.sched_getaffinity(0))], stream)
job.run(main)
"""


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "models" / "g.pb"
    path.parent.mkdir()
    path.write_bytes(b"graph")
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def convert(home, graph, cache, monkeypatch, tmp_path):
    """Run the stand-in of convert on the graph, as `convert --graph` would in an empty folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def start(out, options=None, **inputs):
        work = AdhocRun(STAGES["convert"], {"graph": graph, **inputs}, {})
        return run_adhoc(work, Console(), Path(out), (options or StageOptions()).placement())

    return start


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("text, cpus", [("cpus = 1", 1), ("", len(os.sched_getaffinity(0)))])
def test_the_limits_of_the_current_folders_project_hold(convert, home, photos, monkeypatch, tmp_path, text, cpus):
    """It may run beside that project's training."""
    home.module("convert").write_text(LOOK)
    photos.write("detector.toml", f'[dataset]\nphotos = "photos/JPEGImages"\nclasses = ["cat"]\n[runner]\n{text}\n')
    monkeypatch.chdir(photos.folder)
    convert(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "look.json").read_text()) == [cpus, cpus]


def test_memory_over_the_limit_of_a_named_project_ends_it(convert, home, photos, tmp_path):
    home.behave(convert={"eat_mb": 400})
    options = StageOptions(config=str(photos.folder), overrides=["runner.memory_mb=200"])
    with pytest.raises(StageFailed, match="more than its 200 MiB"):
        convert(tmp_path / "out", options)


def test_a_project_that_cannot_be_read_is_said_and_does_not_keep_it_from_running(convert, tmp_path, capfd):
    Path("detector.toml").write_text("[")
    convert(tmp_path / "out")
    assert "detector.toml" in capfd.readouterr().err
    with pytest.raises(BadInput, match="not valid TOML"):
        convert(tmp_path / "other", StageOptions(config="."))


@pytest.mark.parametrize(
    "override, words", [("convert.to=onnx", "only runner"), ("runner.cpus=1", "there is no detector.toml")]
)
def test_an_override_that_would_change_nothing_is_refused(convert, tmp_path, override, words):
    with pytest.raises(BadInput, match=words):
        convert(tmp_path / "out", StageOptions(overrides=[override]))


def link(place):
    place.symlink_to("/nowhere")


def link_to_folder(place):
    (place.parent / "elsewhere").mkdir()
    place.symlink_to("elsewhere")


def file(place):
    place.write_text("mine")


def full(place):
    place.mkdir()
    (place / "mine").touch()


@pytest.mark.parametrize("make", [link, link_to_folder, file, full])
def test_what_cannot_become_the_result_is_refused_before_anything_runs(convert, home, tmp_path, make):
    place = tmp_path / "out"
    make(place)
    before = files_below(tmp_path)
    with pytest.raises(BadInput, match=str(place)):
        convert(place)
    assert home.ran() == [] and files_below(tmp_path) == before


@pytest.mark.parametrize("place", ["pictures", "pictures/new", "pictures/a/b/new", "link/new"])
def test_a_place_inside_an_input_is_refused(convert, home, tmp_path, place):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "link").symlink_to("pictures")
    with pytest.raises(BadInput, match="lies inside"):
        convert(tmp_path / place, pictures=tmp_path / "pictures")
    assert home.ran() == [] and files_below(tmp_path / "pictures") == []


def test_a_folder_that_is_empty_and_one_whose_parents_are_not_there_are_fine(convert, tmp_path):
    (tmp_path / "empty one").mkdir()
    for place in ("empty one", "a/b/new/"):
        convert(tmp_path / place)
        assert (tmp_path / place / "out.txt").is_file()


@pytest.mark.parametrize(
    "place, told",
    [
        ("closed/new", "permission denied by"),
        ("closed/a/b", "permission denied by"),
        ("models/g.pb/new", "g.pb is a file, and a folder is needed"),
        ("a" * 300, "characters): shorten it"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_said_before_the_work(graph, tmp_path, place, told):
    (tmp_path / "closed").mkdir(mode=0o555)
    before = files_below(tmp_path)
    says(run("convert", "--graph", "models/g.pb", "--out", place, "--runner", "local", cwd=tmp_path), 2, told)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    "output, told",
    [
        ("link", "is a link"),
        ("models/", "names a folder"),
        ("closed/y.npz", "permission denied by"),
        ("models/g.pb/y.npz", "g.pb is a file, and a folder is needed"),
    ],
)
def test_run_uffs_output_is_checked_before_the_work(graph, tmp_path, output, told):
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "link").symlink_to("/nowhere")
    before = files_below(tmp_path)
    words = ("models/g.pb", "--input", "models/g.pb", "--output", output, "--runner", "local")
    says(run("run-uff", *words, cwd=tmp_path), 2, told)
    assert files_below(tmp_path) == before


def test_a_full_disk_is_said_before_the_work(convert, home, tmp_path, monkeypatch):
    monkeypatch.setattr(adhoc.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space left"):
        convert(tmp_path / "new" / "out")
    assert home.ran() == [] and not (tmp_path / "new").exists()


def test_a_failure_leaves_nothing_but_the_log_that_it_names(convert, home, cache, tmp_path):
    home.behave(convert={"fail": "no space"})
    with pytest.raises(StageFailed, match="no space") as caught:
        convert(tmp_path / "made" / "out")
    log = Path(str(caught.value).rsplit("Log: ", 1)[1])
    assert "no space" in log.read_text() and files_below(cache) == ["logs", f"logs/{log.name}"]
    assert log.stat().st_mode & 0o077 == 0 and log.parent.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "made").exists()


def test_a_success_leaves_its_result_only(convert, cache, tmp_path):
    before = files_below(tmp_path)
    convert(tmp_path / "out")
    after = [path for path in files_below(tmp_path) if path not in before and not path.startswith("clone")]
    assert [path for path in after if not path.startswith("out")] == ["cache", "cache/logs"]


KILLED = (
    SCRIPT.split("from invoke.context")[0]
    + """
from nanoforge.commands.options import StageOptions
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.stages import STAGES
work = AdhocRun(STAGES["convert"], {"graph": Path(sys.argv[2])}, {})
run_adhoc(work, Console(), Path(sys.argv[3]), StageOptions().placement())
"""
)


def test_what_a_killed_command_left_is_removed_by_the_next_and_nothing_else(convert, home, graph, cache, tmp_path):
    place = tmp_path / "results"
    home.behave(convert={"sleep": 600})
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home.folder), str(graph), str(place / "out")],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )
    while not home.folder.joinpath("ran.txt").exists():
        assert killed.poll() is None
        time.sleep(0.05)
    (left,) = place.iterdir()
    home.behave()
    convert(place / "beside")  # while the other runs
    assert left.is_dir()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (place / f"{PREFIX}convert-mine").mkdir()
    (place / f"{PREFIX}audit-abcdefgh").mkdir()
    (place / f"{PREFIX}convert-abcdefgh").symlink_to(tmp_path / "models")
    convert(place / "out")
    names = {path.name.replace(PREFIX, "") for path in place.iterdir()}
    assert names == {"beside", "out", "convert-mine", "audit-abcdefgh", "convert-abcdefgh"}
    assert graph.exists()


def test_a_scratch_folder_is_private(tmp_path):
    with scratch_folder(tmp_path / "a" / "b", "x") as folder:
        assert folder.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "a").exists()


def test_the_figures_of_a_conversion_say_how_equal_it_is():
    parity = {"detections": 2000, "matched": 2000, "max_score_diff": 4.1e-7, "min_iou": 0.99999}
    assert metric_words({"nodes": 7, "parity": parity}) == (
        "nodes 7, 2000 of 2000 detections equal, scores within 4e-07, boxes to an IoU of 0.99999"
    )
    assert "1980 of 2000 detections equal (the other 20: rounding" in metric_words(
        {"parity": {**parity, "matched": 1980}}
    )
    nothing = {"detections": 0, "matched": 0, "max_score_diff": 0.0, "min_iou": 1.0}
    assert metric_words({"parity": nothing}) == "heads and boxes equal, nothing was detected"
    assert metric_words({"cat": 3, "sizes": {"a": 1}}) == "cat 3"


def test_of_old_logs_only_its_own_go(tmp_path, monkeypatch):
    """NANOFORGE_CACHE may name a folder in which the user keeps other things."""
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path))
    (tmp_path / "logs").mkdir()
    mine = [tmp_path / "logs" / f"my-run-{number}.log" for number in range(2 * logs.KEPT)]
    for log in mine:
        log.write_text("mine")
    made = [logs.new_log("run-uff") for _ in range(2 * logs.KEPT)]
    assert all(log.exists() for log in mine)
    assert sum(log.exists() for log in made) == logs.KEPT
