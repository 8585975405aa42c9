"""Window, video file, JSON lines, and the page with Motion JPEG."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from live_parts import Kept, Numbered, SlowNetwork, found, photo

from stages import drawing
from stages.detect.figures import Figures
from stages.detect.pipeline import Pipeline
from stages.detect.sinks import mjpeg, video_file
from stages.detect.sinks.choice import Sinks
from stages.detect.sinks.lines import LinesSink
from stages.detect.sinks.mjpeg import MjpegSink
from stages.detect.sinks.sink import Finding, SinkClosed
from stages.detect.sinks.video_file import VideoSink
from stages.detect.sinks.window import WindowSink
from stages.detect.sources.source import LiveFrame
from stages.job import BadInput, StageFailed


def finding(number=0, seconds=None, picture=None, detections=(), name=None):
    picture = photo(48, 64, number) if picture is None else picture
    seconds = number / 10 if seconds is None else seconds
    return Finding(LiveFrame(picture, number, seconds, time.monotonic(), name), list(detections))


def is_like(picture, other):
    """Whether two pictures are the same but for what compression does to small ones with sharp letters."""
    return np.abs(picture.astype(int) - other).mean() < 15


def test_colours_are_the_same_on_a_blue_first_picture():
    red_first = photo(48, 64)
    blue_first = np.ascontiguousarray(red_first[:, :, ::-1])
    boxes = [found(class_id=1), found(class_id=5)]
    drawn = drawing.draw(blue_first, boxes, bgr=True)
    assert np.array_equal(drawn[:, :, ::-1], drawing.draw(red_first, boxes))


# lines


def test_lines_are_json_and_the_file_has_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "found.jsonl"
    sink = LinesSink(str(path))
    sink.write(finding(0, detections=[found()]))
    sink.write(finding(3, name="a.jpg"))
    assert not path.exists() and (tmp_path / "deep" / "found.part.jsonl").exists()
    sink.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {"frame": 0, "time": 0.0, "detections": [found()]}
    assert second == {"frame": 3, "time": 0.3, "detections": [], "file": "a.jpg"}
    assert os.listdir(str(path.parent)) == ["found.jsonl"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    for name, kind in (("a.jsonl", LinesSink), ("a.mp4", lambda path: VideoSink(path, 10.0, False, print))):
        (tmp_path / name).write_text("mine")
        with pytest.raises(BadInput, match="is there already"):
            kind(str(tmp_path / name))
        assert (tmp_path / name).read_text() == "mine"


def test_lines_on_a_full_disk_are_one_sentence(tmp_path):
    sink = LinesSink(str(tmp_path / "a.jsonl"))
    (tmp_path / "a.part.jsonl").symlink_to("/dev/full")
    with pytest.raises(StageFailed, match="cannot be written: The disk is full"):
        sink.write(finding())


def test_whoever_reads_the_lines_may_go(tmp_path):
    program = (
        "import sys; sys.path.insert(0, 'tests/jetson')\n"
        "from test_jetson_live_sinks import *\n"
        "sink = LinesSink(None)\n"
        "try:\n"
        "    for number in range(100000): sink.write(finding(0))\n"
        "except SinkClosed: print('to nobody'); sys.exit(7)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(child.stdout.readline().decode())["frame"] == 0
    child.stdout.close()
    assert child.wait(20) == 7 and child.stderr.read() == b""


# video files


def frames_of(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


def test_a_video_has_every_frame_drawn_and_its_name_when_it_is_whole(tmp_path):
    told, path = [], tmp_path / "out.mp4"
    sink = VideoSink(str(path), 10.0, False, told.append)
    for number in range(5):
        sink.write(finding(number, picture=photo(61, 83, number), detections=[found()]))
    assert not path.exists()
    sink.close()
    frames, fps = frames_of(path)
    assert len(frames) == 5 and fps == 10.0 and frames[0].shape == (60, 82, 3)
    drawn = drawing.draw(photo(61, 83, 2), [found()], bgr=True)[:60, :82]
    assert is_like(frames[2], drawn) and not is_like(frames[3], drawn)
    assert os.listdir(str(tmp_path)) == ["out.mp4"]
    assert len(told) == 1 and "browsers do not play" in told[0]


def test_a_video_of_a_camera_lasts_as_long_as_what_it_shows(tmp_path):
    sink = VideoSink(str(tmp_path / "out.mp4"), 10.0, True, lambda _: None)
    for number, seconds in enumerate((0.0, 0.1, 0.4, 0.5, 60.5)):  # two frames lost, then a minute without the camera
        sink.write(finding(number, seconds))
    sink.close()
    assert len(frames_of(tmp_path / "out.mp4")[0]) == 6 + 21


def test_an_encoder_that_is_too_slow_does_not_fall_behind_more_and_more(tmp_path, monkeypatch):
    sink = VideoSink(str(tmp_path / "out.mp4"), 100.0, True, lambda _: None)
    sink.write(finding(0, 0.0))
    clock, writer = Clock(), sink._writer

    class Slow:
        def write(self, picture):
            clock.seconds += 0.02
            writer.write(picture)

        release = writer.release

    monkeypatch.setattr(sink, "_writer", Slow())
    monkeypatch.setattr(video_file, "time", clock)
    steps = []
    while clock.seconds < 1.0:
        begun = clock.seconds
        sink.write(finding(1, begun))
        steps.append(clock.seconds - begun)
    assert max(steps) < 0.05 and len(steps) > 40
    sink.close()


class Clock:
    """Time that passes only where a test lets it."""

    seconds = 0.0

    def monotonic(self):
        return self.seconds


def test_a_picture_of_another_size_is_fitted(tmp_path):
    sink = VideoSink(str(tmp_path / "out.mp4"), 10.0, False, lambda _: None)
    sink.write(finding(0))
    sink.write(finding(1, picture=photo(96, 128)))
    sink.close()
    assert [frame.shape for frame in frames_of(tmp_path / "out.mp4")[0]] == [(48, 64, 3)] * 2


def test_a_nearly_full_disk_ends_a_video_that_can_be_played(tmp_path, monkeypatch):
    monkeypatch.setattr(video_file, "LOOK_EVERY", 3)
    sink = VideoSink(str(tmp_path / "out.mp4"), 10.0, False, lambda _: None)
    for number in range(3):
        sink.write(finding(number))
    monkeypatch.setattr(video_file, "SPARE_BYTES", 1 << 60)
    with pytest.raises(StageFailed, match="nearly full: .*out.mp4 ends after 3 frames"):
        sink.write(finding(3))
    sink.close()
    assert len(frames_of(tmp_path / "out.mp4")[0]) == 3


def test_a_video_that_the_disk_did_not_take_is_not_kept(tmp_path):
    sink = VideoSink(str(tmp_path / "out.mp4"), 10.0, False, lambda _: None)
    sink.write(finding(0))
    (tmp_path / "out.part.mp4").unlink()
    with pytest.raises(StageFailed, match="could not be finished and is not kept"):
        sink.close()
    assert os.listdir(str(tmp_path)) == []


def test_a_video_that_never_began_leaves_nothing(tmp_path):
    VideoSink(str(tmp_path / "out.mp4"), 10.0, False, print).close()
    assert os.listdir(str(tmp_path)) == []
    with pytest.raises(BadInput, match=r"is no name for a video; end it with \.mp4"):
        VideoSink(str(tmp_path / "out.mkv"), 10.0, False, print)


def test_on_a_board_its_own_encoder_is_taken(tmp_path, monkeypatch):
    asked = []

    class Writer:
        def __init__(self, *arguments):
            asked.append(arguments)

        def isOpened(self):
            return "omxh264enc" in str(asked[-1][0])

        def write(self, picture):
            assert picture.shape == (48, 64, 3) and picture.flags["C_CONTIGUOUS"]

    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GStreamer:   YES (1.14.5)")
    monkeypatch.setattr(cv2, "VideoWriter", Writer)
    told = []
    VideoSink(str(tmp_path / 'a "b.mp4'), 30.0, False, told.append).write(finding())
    (first, backend, *_), (second, *_) = asked
    assert backend == cv2.CAP_GSTREAMER and told == [] and len(asked) == 2
    assert re.search(r"format=\(string\)NV12 ! nvv4l2h264enc .* ! h264parse ! mp4mux ! filesink", first)
    assert "! omxh264enc" in second and r'a \"b.part.mp4"' in second


# the window

VISIBLE = cv2.WND_PROP_VISIBLE  # which GTK knew nothing of before OpenCV 4.5


@pytest.fixture
def screen(monkeypatch):
    """A screen of GTK's: what was shown; ``key`` is pressed next, ``is_open`` is whether the window is there."""

    class Screen:
        shown, key, is_open, destroyed = [], 255, True, 0

    made = Screen()
    made.shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GUI:    GTK2")
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: made.shown.append((name, picture)))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: made.key)
    known = {True: 0.0, False: -1.0}
    monkeypatch.setattr(cv2, "getWindowProperty", lambda name, which: known[made.is_open and which != VISIBLE])
    monkeypatch.setattr(cv2, "destroyWindow", lambda name: setattr(made, "destroyed", made.destroyed + 1))
    return made


def test_the_window_shows_drawn_pictures_until_it_is_closed(screen):
    sink, one = WindowSink("usb:0", False, lambda: False), finding(detections=[found()])
    sink.write(one)
    assert screen.shown[0][0] == "usb:0" and screen.shown[0][1] is one.drawn()
    screen.is_open = False
    with pytest.raises(SinkClosed):
        sink.idle()
    sink.close()
    assert screen.destroyed == 0


@pytest.mark.parametrize("key", [27, ord("q")])
def test_a_key_closes_the_window(screen, key):
    screen.key = key
    with pytest.raises(SinkClosed):
        WindowSink("usb:0", False, lambda: False).write(finding())


def test_the_last_picture_of_a_file_stays_until_an_end_is_asked_for(screen):
    begun = time.monotonic()
    sink = WindowSink("a.jpg", True, lambda: time.monotonic() - begun > 0.2)
    sink.write(finding())
    sink.close()
    assert time.monotonic() - begun > 0.2 and screen.destroyed == 1


def test_without_a_screen_or_windows_there_is_a_sentence(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BadInput, match="There is no screen here"):
        WindowSink("a", False, lambda: False)
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(BadInput, match="built without windows; watch in a browser"):
        WindowSink("a", False, lambda: False)


# the page


@pytest.fixture
def page():
    sink = MjpegSink(0, Figures(), "usb:0")
    yield sink
    if not sink.broadcast.is_over:
        sink.close()


def asked(sink, path, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    connection.request(method, path, headers={"Host": host} if host else {})
    return connection.getresponse()


class Viewer:
    """A browser that takes the stream, one picture at a time."""

    def __init__(self, sink):
        self.answer = asked(sink, "/stream")
        assert self.answer.status == 200
        self.boundary = self.answer.getheader("Content-Type").split("boundary=")[1].encode()
        assert self._lines(3) == b"--%s\r\nContent-Type: image/jpeg\r\n\r\n" % self.boundary

    def _lines(self, count):
        return b"".join(self.answer.fp.readline() for _ in range(count))

    def picture(self):
        data, line = b"", self.answer.fp.readline()
        while line != b"--%s\r\n" % self.boundary:
            assert line
            data, line = data + line, self.answer.fp.readline()
        assert self._lines(2) == b"Content-Type: image/jpeg\r\n\r\n"
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_several_browsers_see_the_newest_picture(page):
    page.write(finding(0, detections=[found()]))
    viewers = [Viewer(page) for _ in range(3)]
    for number in (0, 1):
        one = finding(number, detections=[found()])
        page.write(one)
        for viewer in viewers:
            assert is_like(viewer.picture(), one.drawn())


def test_a_slow_browser_gets_the_newest_only_and_holds_up_nobody(page, monkeypatch):
    monkeypatch.setattr(mjpeg.MjpegHandler, "timeout", 120.0)
    noise = np.random.RandomState(0).randint(0, 256, (600, 800, 3)).astype(np.uint8)
    slow, quick, seen = Viewer(page), Viewer(page), []
    begun = time.monotonic()
    for number in range(40):
        picture = noise.copy()
        picture[:64, :64] = 6 * number
        page.write(finding(number, picture=picture))
        seen.append(quick.picture()[32, 32, 0])
    assert time.monotonic() - begun < 60 and len(seen) == 40
    page.close()
    brightness = []
    try:
        while True:
            brightness.append(int(slow.picture()[32, 32, 0]) // 6)
    except (AssertionError, cv2.error):
        pass  # the end of the stream
    assert len(brightness) < 35 and brightness == sorted(set(brightness))


def test_nothing_is_drawn_where_nobody_looks(page, monkeypatch):
    monkeypatch.setattr(Finding, "drawn", lambda self: pytest.fail("drawn for nobody"))
    page.write(finding())
    assert asked(page, "/state").status == 200


def test_the_state_is_what_the_page_shows(page):
    empty = json.loads(asked(page, "/state").read().decode())
    assert "frame" not in empty and empty["source"] == "usb:0" and empty["detections"] == []
    page.write(finding(7, detections=[found()]))
    state = json.loads(asked(page, "/state").read().decode())
    assert (state["frame"], state["width"], state["height"]) == (7, 64, 48)
    assert state["detections"] == [dict(found(), color="#e69f00")] and state["silent_s"] < 5


def test_page_and_files_are_served_with_a_policy_and_nothing_else_is(page):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        answer = asked(page, path)
        assert answer.status == 200 and answer.getheader("Content-Type").startswith(kind) and len(answer.read()) > 500
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy
    for path in ("/page.html", "/../live.py", "/%2e%2e/live.py", "//etc/passwd", "/state/"):
        assert asked(page, path).status == 404
    assert asked(page, "/", method="POST").status == 501


@pytest.mark.parametrize("path", ["/", "/state", "/stream"])
def test_a_site_whose_name_points_here_gets_nothing(page, path):
    page.write(finding())
    answer = asked(page, path, host="evil.example:80")
    assert answer.status == 421 and b"jpeg" not in answer.read()


def test_the_page_listens_on_this_machine_only(page):
    assert page.title == "http://127.0.0.1:%d/" % page.port
    others = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in set(others) - {"127.0.0.1"}:
        with socket.socket() as client:
            client.settimeout(2)
            assert client.connect_ex((address, page.port)) != 0


def test_a_port_that_is_taken_is_one_sentence(page):
    with pytest.raises(BadInput, match="Port %d cannot be had: Another program listens" % page.port):
        MjpegSink(page.port, Figures(), "usb:0")


def test_so_many_browsers_and_no_more_and_who_goes_makes_room(page, monkeypatch):
    monkeypatch.setattr(page.broadcast, "_places", threading.BoundedSemaphore(1))
    viewer = Viewer(page)
    assert asked(page, "/stream").status == 503
    viewer.answer.close()
    for number in range(100):
        page.write(finding(number))
        time.sleep(0.02)
        if asked(page, "/stream").status == 200:
            return
    pytest.fail("no place was given back")


def test_the_page_ends_with_the_run_whoever_looks(page, monkeypatch):
    monkeypatch.setattr(mjpeg.MjpegHandler, "timeout", 120.0)
    Viewer(page)
    begun = time.monotonic()
    page.close()
    assert time.monotonic() - begun < 30
    with pytest.raises(OSError):
        asked(page, "/")


def test_browsers_that_come_and_go_leave_the_run_alone():
    figures, other = Figures(), Kept()
    sink = MjpegSink(0, figures, "numbers")

    def come_and_go():
        for _ in range(5):
            viewer = Viewer(sink)
            viewer.picture()
            viewer.answer.close()

    visits = threading.Thread(target=come_and_go)
    visits.start()
    pipeline = Pipeline(Numbered(100, 0.03), SlowNetwork(), [sink, other], figures, 0.5, 0, print, lambda: None)
    pipeline.run(lambda: False)
    visits.join(5)
    assert len(other.numbers) > 90


# what the user calls them


def test_sinks_by_name(tmp_path, screen):
    source = Numbered(1)
    made = Sinks(str(tmp_path), source, Figures(), print, lambda: False).made(
        ["window", "mjpeg:0", "file:a.mp4", "lines", "lines:/%s/b.jsonl" % tmp_path]
    )
    assert [type(one).__name__ for one in made] == ["WindowSink", "MjpegSink", "VideoSink", "LinesSink", "LinesSink"]
    assert made[2].title == str(tmp_path / "a.mp4")
    made[1].close()


@pytest.mark.parametrize("name", ["screen", "mjpeg", "mjpeg:x", "mjpeg:70000", "file", "file:", "lines:", "window:1"])
def test_a_sink_that_there_is_not(tmp_path, name):
    with pytest.raises(BadInput, match="There is no sink %s; there are window, mjpeg:PORT, file:PATH.mp4" % name):
        Sinks(str(tmp_path), Numbered(1), Figures(), print, lambda: False).made([name])


def test_a_sink_that_cannot_be_had_leaves_nothing_of_those_before_it(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(mjpeg.MjpegSink, "close", lambda sink: closed.append(sink))
    sinks = Sinks(str(tmp_path), Numbered(1), Figures(), print, lambda: False)
    with pytest.raises(BadInput):
        sinks.made(["mjpeg:0", "lines:a.jsonl", "file:a.avi"])
    assert len(closed) == 1 and os.listdir(str(tmp_path)) == []
    with pytest.raises(BadInput, match="is named twice"):
        sinks.made(["file:b.mp4", "file:./b.mp4"])
    with pytest.raises(BadInput, match="is named twice"):
        sinks.made(["lines", "lines"])
