"""The stage live, as the process that a runner starts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import cv2
import pytest
from conftest import CLONE
from live_parts import photo, write_video
from rtsp_server import RtspServer

from stages.detect.detect import main as detect
from stages.job import EVENT_MARK, Job
from stages.parameters import DetectParameters, LiveParameters
from tests.fakes.description import DESCRIPTION

THRESHOLD = 0.3


@pytest.fixture(scope="module")
def model(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    os.symlink(detector, str(folder / "model.uff"))
    (folder / "model.json").write_text(json.dumps(DESCRIPTION))
    return str(folder)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Its 3000 frames take longer than any test of it."""
    return write_video(tmp_path_factory.mktemp("video") / "long.mp4", 3000)


class LiveStage:
    """The stage at work."""

    def __init__(self, folder, model, source, sinks, frames=0):
        self.output = folder / "output"
        self.output.mkdir()
        job = {
            "stage": "live",
            "inputs": {"model": model},
            "output": str(self.output),
            "scratch": str(folder),
            "cpus": 1,
        }
        job["parameters"] = LiveParameters(
            str(source), list(sinks), THRESHOLD, "reference", [480, 640], 30, frames
        )._asdict()  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "stages.detect.live", str(folder / "job.json")],
            cwd=CLONE, env=dict(os.environ, PYTHONPATH=CLONE), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True,
        )  # fmt: skip
        self.lines, self.events = [], []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            if EVENT_MARK in line:
                self.events.append(json.loads(line[line.index(EVENT_MARK) + len(EVENT_MARK) :]))
            else:
                self.lines.append(line)

    def end(self, seconds=30):
        """The exit code."""
        code = self.process.wait(seconds)
        self._reader.join()
        self.log = self.process.stderr.read()
        return code

    def all(self, kind):
        return [event[kind] for event in self.events if kind in event]

    def wait_for(self, there):
        end = time.monotonic() + 20
        while not there():
            assert time.monotonic() < end and self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.05)


@pytest.fixture
def live(model, tmp_path):
    started = []

    def start(source, *sinks, frames=0):
        started.append(LiveStage(tmp_path, model, source, sinks, frames))
        return started[-1]

    yield start
    for stage in started:
        if stage.process.poll() is None:
            stage.process.kill()


def detected(model, media, folder):
    """What the stage detect finds."""
    folder.mkdir()
    job = {
        "stage": "detect",
        "inputs": {"model": model, "media": str(media)},
        "output": str(folder),
        "scratch": "",
        "cpus": 1,
    }
    job["parameters"] = DetectParameters(100, THRESHOLD, 0, False, "reference")._asdict()
    detect(Job(job))
    return json.loads((folder / "detections.json").read_text())


def test_a_video_gives_the_same_as_detect(live, model, tmp_path):
    video = write_video(tmp_path / "a.mp4", 12)
    stage = live(video, "lines", "file:drawn.mp4", "lines:found.jsonl")
    assert stage.end() == 0
    lines = [json.loads(line) for line in stage.lines]
    expected = detected(model, video, tmp_path / "detect")["videos"][0]["frames"]
    assert [{"time": line["time"], "detections": line["detections"]} for line in lines] == expected
    assert [line["frame"] for line in lines] == list(range(12)) and any(line["detections"] for line in lines)
    assert (stage.output / "found.jsonl").read_text() == "".join(stage.lines)
    assert cv2.VideoCapture(str(stage.output / "drawn.mp4"), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert sorted(os.listdir(str(stage.output))) == ["drawn.mp4", "found.jsonl"]
    (metrics,) = stage.all("metrics")
    assert metrics["frames"] == 12 and metrics["left_out"] == 0 and metrics["latency_ms"] > 0
    assert metrics["detections"] == sum(len(line["detections"]) for line in lines)
    assert "FPS, latency" in stage.all("progress")[-1]["message"]


def test_pictures_give_the_same_as_detect(live, model, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(("b.png", "a.png", "c.png")):
        cv2.imwrite(str(folder / name), photo(90, 70, index))
    stage = live(folder, "lines")
    assert stage.end() == 0
    expected = detected(model, folder, tmp_path / "detect")["pictures"]
    lines = [json.loads(line) for line in stage.lines]
    assert [(line["file"], line["detections"]) for line in lines] == [
        (one["file"], one["detections"]) for one in expected
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_whole_files_and_the_last_figures(live, long_video, number):
    stage = live(long_video, "file:drawn.mp4", "lines:found.jsonl")
    stage.wait_for(lambda: len(stage.all("progress")) > 1)
    stage.process.send_signal(number)
    assert stage.end(10) == 0, stage.log
    (metrics,) = stage.all("metrics")
    assert 0 < metrics["frames"] < 3000 and stage.all("progress")[-1]["done"] == metrics["frames"]
    held = cv2.VideoCapture(str(stage.output / "drawn.mp4"), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT)
    lines = (stage.output / "found.jsonl").read_text().splitlines()
    assert held == metrics["frames"] == len(lines) and json.loads(lines[-1])["frame"] == metrics["frames"] - 1
    assert sorted(os.listdir(str(stage.output))) == ["drawn.mp4", "found.jsonl"]


def test_the_page_can_be_had_while_it_runs(live, long_video):
    stage = live(long_video, "mjpeg:0")
    stage.wait_for(lambda: stage.events)
    address = stage.all("progress")[0]["message"].split(", shown at ")[1]
    stage.wait_for(lambda: json.loads(urllib.request.urlopen(address + "state").read().decode())["frames"] > 5)
    stage.process.send_signal(signal.SIGINT)
    assert stage.end(10) == 0


def test_so_many_frames(live, tmp_path):
    stage = live(write_video(tmp_path / "a.mp4", 12), "lines", frames=5)
    assert stage.end() == 0 and len(stage.lines) == 5


def test_whoever_reads_the_lines_may_go_without_an_error(live, long_video):
    stage = live(long_video, "lines")
    stage.wait_for(lambda: stage.lines)
    os.close(stage.process.stdout.fileno())
    assert stage.process.wait(10) == 0


@pytest.mark.parametrize(
    "source, sinks, told",
    [
        ("nothing", [], "There is no nothing; name a picture, a folder of pictures, a video, usb:0, csi:0 or rtsp:"),
        ("rtsp://u:geheim@127.0.0.1:9/x", [], "rtsp://***@127.0.0.1:9/x does not answer"),
        ("a.mp4", ["file:drawn.mp4", "window"], "There is no screen here"),
        ("a.mp4", ["nonsense"], "There is no sink nonsense"),
    ],
)
def test_bad_input_is_one_sentence(live, tmp_path, monkeypatch, source, sinks, told):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if source == "a.mp4":
        source = write_video(tmp_path / "a.mp4", 2)
    stage = live(source, *sinks)
    assert stage.end() == 2
    (error,) = stage.all("error")
    assert told in error and "geheim" not in error + stage.log and "Traceback" not in stage.log
    assert os.listdir(str(stage.output)) == []


def test_a_signal_ends_it_while_a_network_camera_stalls(live):
    server = RtspServer(photo(64, 80))
    stage = live("rtsp://me:geheim@127.0.0.1:%d/cam" % server.port, "lines", "file:drawn.mp4")
    stage.wait_for(lambda: len(stage.lines) > 5)
    server.stalls = True
    count = len(stage.lines)
    time.sleep(0.5)
    stage.process.send_signal(signal.SIGINT)
    assert stage.end(10) == 0, stage.log
    server.close()
    assert len(stage.lines) >= count and "geheim" not in stage.log + json.dumps(stage.events)
    assert cv2.VideoCapture(str(stage.output / "drawn.mp4"), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT) >= count


def test_an_engine_on_a_video_gives_the_same_live_as_by_detect(engine, stages_of, tmp_path):
    video = write_video(tmp_path / "a.mp4", 8)
    asked = LiveParameters(video, ["lines:found.jsonl"], THRESHOLD, "tensorrt", [480, 640], 30, 0)._asdict()
    ran = stages_of.run("stages.detect.live", {"engine": engine}, asked)
    assert ran.code == 0, ran.log
    lines = [json.loads(line) for line in (ran.folder / "found.jsonl").read_text().splitlines()]
    parameters = DetectParameters(100, THRESHOLD, 0, False, "tensorrt")._asdict()
    done = stages_of.run("stages.detect.detect", {"engine": engine, "media": video}, parameters)
    expected = [frame["detections"] for frame in done.json("detections.json")["videos"][0]["frames"]]
    assert [line["detections"] for line in lines] == expected and any(expected)
