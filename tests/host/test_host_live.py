"""`detect --live`: what the program is asked, what of its words is shown where, and how it ends."""

import json
import os
import signal

import pytest

from nanoforge.commands.live import live
from nanoforge.commands.options import StageOptions
from nanoforge.errors import BadInput, StageFailed

PROGRAM = """
import json, os, signal, sys, time
from stages import job

def stop(*_):
    print("closed", flush=True)
    sys.exit(0)

def main(work):
    source = work.parameters["source"]
    if source == "usb:7":
        raise job.BadInput("There is no camera usb:7; there are usb:0")
    if source == "usb:8":
        os._exit(9)
    print(json.dumps(work.parameters), flush=True)
    print(json.dumps(work.inputs), flush=True)
    print(json.dumps({"place": [os.getcwd(), os.environ.get("DISPLAY")]}), flush=True)
    print("Watch at http://127.0.0.1:8090/", flush=True)
    work.warn("the camera was away for 2 s")
    work.progress(30, 0, "29.9 FPS, 41 ms")
    work.metrics(frames=30)
    if source == "csi:0":
        signal.signal(signal.SIGINT, stop)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    if source == "csi:1":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

if __name__ == "__main__":
    job.run(main)
"""


@pytest.fixture
def camera(home, photos, monkeypatch):
    """Runs the stand-in program; gives what it was asked, its inputs, and where it ran."""
    (home.folder / "stages" / "detect" / "live.py").write_text(PROGRAM)
    monkeypatch.chdir(photos.folder)

    def run(source="usb:0", sinks=(), frames=0, **options):
        live(source, sinks, frames, StageOptions(**options))

    return run


def lines(captured):
    return [json.loads(line) for line in captured.out.splitlines() if line.startswith("{")]


def test_detections_go_to_standard_output_and_words_to_the_user(camera, photos, monkeypatch, capsys):
    monkeypatch.setenv("DISPLAY", ":7")
    camera("usb:0", frames=9, overrides=["detect.camera=640x480@15"])
    captured = capsys.readouterr()
    asked, inputs, place = lines(captured)
    assert asked == {
        "source": "usb:0", "sinks": ["lines"], "score_threshold": 0.5, "backend": "reference", "size": [480, 640],
        "fps": 15, "frames": 9,
    }  # fmt: skip
    assert list(inputs) == ["model"] and os.path.isfile(os.path.join(inputs["model"], "record.json"))
    assert place["place"] == [str(photos.folder), ":7"]
    for words in (
        "Watch at http",
        "29.9 FPS, 41 ms",
        "warning: the camera was away for 2 s",
        "detect has ended (frames 30)",
    ):
        assert words in captured.err and words not in captured.out


def test_files_are_named_by_their_whole_paths(camera, photos, capsys):
    photos.write("a.mp4", "frames")
    camera("a.mp4", ["file:out.mp4", "mjpeg:8090", "lines:found.jsonl", "window"])
    asked = lines(capsys.readouterr())[0]
    assert asked["source"] == str(photos.folder / "a.mp4")
    assert asked["sinks"] == [
        f"file:{photos.folder}/out.mp4",
        "mjpeg:8090",
        f"lines:{photos.folder}/found.jsonl",
        "window",
    ]
    camera("rtsp://me:secret@door/1", ["none"])
    asked = lines(capsys.readouterr())[0]
    assert (asked["source"], asked["sinks"]) == ("rtsp://me:secret@door/1", [])


def test_what_the_program_refuses_is_one_sentence(camera):
    with pytest.raises(BadInput, match="^detect: There is no camera usb:7; there are usb:0"):
        camera("usb:7")
    with pytest.raises(StageFailed, match="ended with exit code 9"):
        camera("usb:8")


@pytest.mark.parametrize(
    ("source", "sinks", "words"),
    [
        ("nothing.mp4", [], "There is no .*/nothing.mp4: --live takes"),
        ("usb:0", ["mjpeg"], "There is no sink mjpeg: --sink takes"),
        ("usb:0", ["none", "lines"], "There is no sink none: .* none alone"),
    ],
)
def test_what_cannot_be_meant_is_said_before_a_model_is_made(camera, home, source, sinks, words):
    with pytest.raises(BadInput, match=words):
        camera(source, sinks)
    assert home.ran() == []


@pytest.mark.parametrize("size", ["1280", "1280x720", "0x720@30", "1280x720@0", "axb@c"])
def test_what_a_camera_cannot_be_asked(camera, home, size):
    with pytest.raises(BadInput, match="width, height and frames a second"):
        camera(overrides=[f"detect.camera={size}"])
    assert home.ran() == []


def test_a_camera_is_of_this_machine(camera):
    for options in ({"host": "nano"}, {"runner": "docker"}):
        with pytest.raises(BadInput, match="a camera of this machine"):
            camera(**options)


def test_ctrl_c_lets_it_close_what_it_has_open(camera, monkeypatch, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        camera("csi:0")
    finally:
        signal.signal(signal.SIGINT, before)
    captured = capsys.readouterr()
    assert "closed" in captured.err and "detect has ended" in captured.err and "closed" not in captured.out


def test_one_that_does_not_hear_is_ended(camera, monkeypatch, capsys):
    monkeypatch.setattr("nanoforge.commands.live.GRACE_S", 0.2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(StageFailed, match="ended with exit code -15"):
            camera("csi:1")
    finally:
        signal.signal(signal.SIGINT, before)
