"""Cameras that are not there, hang, are unplugged and come back; files."""

import itertools
import os
import socket
import threading
import time

import cv2
import numpy as np
import pytest
from live_parts import photo, write_video
from rtsp_server import RtspServer

from stages.detect import opencv
from stages.detect.sources import rtsp, usb
from stages.detect.sources.camera import Camera
from stages.detect.sources.choice import source_of
from stages.job import BadInput
from stages.parameters import LiveParameters

GSTREAMER = "Video I/O:\n    GStreamer:                   YES (1.14.5)\n    FFMPEG:  YES\n"


def parameters(source, size=(720, 1280), fps=30):
    return LiveParameters(str(source), [], 0.5, "reference", list(size), fps, 0)


def never():
    return False


class FakeCapture:
    """cv2.VideoCapture by a script: a number gives that many frames, ``None`` hangs; after its end, it is unplugged."""

    def __init__(self, script, opens=True):
        self._script, self._opens = list(script), opens
        self.settings, self.released = {}, threading.Event()

    def isOpened(self):
        return self._opens

    def set(self, name, value):
        self.settings[name] = value
        return True

    def read(self):
        while self._script and self._script[0] == 0:
            del self._script[0]
        if not self._script:
            return False, None
        if self._script[0] is None:
            self.released.wait(20)
            return False, None
        self._script[0] -= 1
        time.sleep(0.002)
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self):
        self.released.set()


class TestCamera(Camera):
    __test__ = False
    first_frame_s, silence_s, first_wait_s, longest_wait_s = 0.5, 0.3, 0.1, 0.4
    remedy = "look at it"

    def __init__(self, captures):
        self.told, self.openings, self.captures = [], [], list(captures)
        super().__init__("The camera", 30.0, self.told.append)

    def open(self):
        self.openings.append(time.monotonic())
        capture = self.captures.pop(0) if self.captures else FakeCapture([], opens=False)
        if not capture.isOpened():
            raise BadInput("The camera cannot be opened")
        return capture


def test_a_camera_that_is_not_there_is_one_sentence():
    with pytest.raises(BadInput, match="The camera cannot be opened; look at it"):
        next(TestCamera([]).frames(never))


def test_a_camera_that_gives_no_frames_is_one_sentence():
    with pytest.raises(BadInput, match="The camera gives no frames; look at it"):
        next(TestCamera([FakeCapture([])]).frames(never))


def test_a_camera_whose_first_frame_never_comes_is_one_sentence():
    with pytest.raises(BadInput, match="The camera gave no frame for 0.5 seconds; look at it"):
        next(TestCamera([FakeCapture([None])]).frames(never))


def test_an_unplugged_camera_is_opened_again_until_it_is_back_and_both_are_told_once():
    closed = [FakeCapture([], opens=False) for _ in range(4)]
    camera = TestCamera([FakeCapture([3])] + closed + [FakeCapture([1000])])
    frames = list(itertools.islice(camera.frames(never), 8))
    assert camera.told == ["The camera gives no frames; it is opened again until it is back", "The camera is back"]
    waits = np.diff(camera.openings)
    assert waits[0] < waits[1] < waits[2] and waits.max() < 1
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers)) and numbers[0] in (0, 1, 2)
    times = [frame.time for frame in frames]
    assert times[0] == 0 and times == sorted(times) and times[-1] > 0.3


def test_a_read_that_never_returns_is_left_alone_and_the_camera_opened_again():
    hangs = FakeCapture([2, None])
    camera = TestCamera([hangs, FakeCapture([1000])])
    frames = list(itertools.islice(camera.frames(never), 8))
    assert len(frames) == 8 and len(camera.openings) == 2
    assert camera.told[0] == "The camera gave no frame for 0.3 seconds; it is opened again until it is back"


def test_a_reader_that_was_left_lets_go_of_its_camera():
    capture = FakeCapture([1000])
    frames = TestCamera([capture]).frames(never)
    next(frames)
    frames.close()
    assert capture.released.is_set()  # not some time later: the process may end now


@pytest.mark.parametrize("script", [[1, None], [1]])
def test_an_end_is_heeded_while_a_camera_hangs_or_is_away(script):
    camera = TestCamera([FakeCapture(script)])
    camera.longest_wait_s = camera.first_wait_s = camera.silence_s = 120.0
    begun = time.monotonic()
    list(camera.frames(lambda: time.monotonic() - begun > 0.3))
    assert time.monotonic() - begun < 30


def test_an_usb_camera_is_asked_for_size_rate_and_motion_jpeg(monkeypatch):
    opened = []

    def capture(number):
        opened.append((number, FakeCapture([5])))
        return opened[-1][1]

    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    source = source_of(parameters("usb:3"), print)
    next(source.frames(never))
    (number, made) = opened[0]
    assert number == cv2.CAP_V4L2 + 3
    assert made.settings == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 30.0,
    }


def test_usb_cameras_that_cannot_be_used(monkeypatch, tmp_path):
    with pytest.raises(BadInput, match="There is no /dev/video97; plug the camera in, or name another"):
        source_of(parameters("usb:97"), print)
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BadInput, match="usermod -aG video"):
        source_of(parameters("/dev/video97"), print)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: FakeCapture([], opens=False))
    with pytest.raises(BadInput, match="cannot be opened as a camera; look at its cable, and whether another"):
        next(source_of(parameters("/dev/video97"), print).frames(never))


def test_names_of_usb_cameras(tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/video5")
    assert [usb.number_of(name) for name in ("usb:0", "/dev/video12", str(link))] == [0, 12, 5]
    for name in ("usb:", "usb:x", "/dev/sda"):
        with pytest.raises(BadInput, match="is no camera; name one as usb:0"):
            source_of(parameters(name), print)


def test_a_csi_camera_needs_an_opencv_with_gstreamer(monkeypatch):
    with pytest.raises(BadInput, match="needs an OpenCV with GStreamer"):
        source_of(parameters("csi:0"), print)
    with pytest.raises(BadInput, match="name one as csi:0"):
        source_of(parameters("csi:front"), print)


@pytest.mark.parametrize(
    "words, has", [("YES (1.14.5)", True), ("\n      base:   YES (ver 1.14.1)", True), ("NO", False), ("", False)]
)
def test_what_opencv_says_of_gstreamer(monkeypatch, words, has):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:                   %s\n  V4L: YES" % words)
    assert opencv.has_gstreamer() is has


def test_the_pipeline_of_a_csi_camera(monkeypatch):
    opened = []

    def capture(*arguments):
        opened.append(arguments)
        return FakeCapture([2])

    monkeypatch.setattr(cv2, "getBuildInformation", lambda: GSTREAMER)
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    next(source_of(parameters("csi:1", fps=60), print).frames(never))
    (pipeline, backend) = opened[0]
    assert backend == cv2.CAP_GSTREAMER
    elements = [part.strip() for part in pipeline.split(" ! ")]
    names = [element.split()[0].rstrip(",") for element in elements]
    assert names[::2] == ["nvarguscamerasrc", "nvvidconv", "videoconvert", "appsink"]
    assert names[1::2] == ["video/x-raw(memory:NVMM)", "video/x-raw", "video/x-raw"]
    assert "sensor-id=1" in elements[0]
    for piece in ("width=(int)1280", "height=(int)720", "framerate=(fraction)60/1", "format=(string)NV12"):
        assert piece in elements[1]
    assert "format=(string)BGRx" in elements[3] and "format=(string)BGR" in elements[5]
    assert "drop=true" in elements[6] and "max-buffers=1" in elements[6]


@pytest.fixture
def stalled_server():
    """A server that takes a connection and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield server.getsockname()[1]


def test_rtsp_that_stalls_is_one_sentence_without_its_password(monkeypatch, stalled_server, capfd):
    monkeypatch.setattr(rtsp.RtspCamera, "first_frame_s", 1.0)
    source = source_of(parameters("rtsp://me:geheim@127.0.0.1:%d/a?password=geheim" % stalled_server), print)
    begun = time.monotonic()
    with pytest.raises(BadInput) as raised:
        next(source.frames(never))
    assert time.monotonic() - begun < 10
    assert str(raised.value).startswith("rtsp://***@127.0.0.1:%d/a?*** " % stalled_server)
    output = "".join(capfd.readouterr()) + str(raised.value) + source.title
    assert "geheim" not in output and "me:" not in output


@pytest.fixture
def network_camera(monkeypatch):
    monkeypatch.setattr(rtsp.RtspCamera, "silence_s", 1.0)
    monkeypatch.setattr(rtsp.RtspCamera, "first_wait_s", 0.1)
    server = RtspServer(photo(240, 320))
    yield server
    server.close()


def test_a_network_camera_that_wants_a_password(network_camera, capfd):
    source = source_of(parameters("rtsp://me:geheim@127.0.0.1:%d/cam" % network_camera.port), print)
    frames = list(itertools.islice(source.frames(never), 3))
    assert all(np.abs(frame.picture.astype(int) - photo(240, 320)).mean() < 5 for frame in frames)
    wrong = source_of(parameters("rtsp://me:verraten@127.0.0.1:%d/cam" % network_camera.port), print)
    with pytest.raises(BadInput, match="answers, but gives no video; look at the address, its user and password"):
        next(wrong.frames(never))
    output = "".join(capfd.readouterr())
    assert "geheim" not in output and "verraten" not in output


@pytest.mark.parametrize("trouble", ["stall", "cut"])
def test_a_network_camera_that_stalls_or_breaks_off_is_seen_again(network_camera, trouble):
    told = []
    source = source_of(parameters("rtsp://me:geheim@127.0.0.1:%d/cam" % network_camera.port), told.append)
    frames = source.frames(never)
    next(frames)
    if trouble == "stall":
        network_camera.stalls = True
        threading.Timer(2.0, lambda: setattr(network_camera, "stalls", False)).start()
    else:
        network_camera.cut()
    end = time.monotonic() + 20
    while not told or "is back" not in told[-1]:
        assert time.monotonic() < end
        next(frames)
    assert len(told) == 2 and "it is opened again until it is back" in told[0] and "geheim" not in "".join(told)
    assert network_camera.plays >= 2
    frames.close()


def test_rtsp_servers_that_are_not_there():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    source = source_of(parameters("rtsp://u:p@127.0.0.1:%d/cam" % port), print)
    with pytest.raises(BadInput, match=r"rtsp://\*\*\*@127.0.0.1:%d/cam does not answer \(Connection refused\)" % port):
        next(source.frames(never))
    for address in ("rtsp://", "rtsp:///path", "rtsp://host:99999/x", 'rtsp://host/"x'):
        with pytest.raises(BadInput, match="is no address of a camera"):
            source_of(parameters(address), print)


def test_rtsp_on_a_board_is_decoded_by_its_own_processor(monkeypatch):
    opened = []
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: GSTREAMER)
    monkeypatch.setattr(rtsp.Board, "l4t", lambda self: "32.7.1")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *arguments: opened.append(arguments) or FakeCapture([2]))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        address = "rtsp://u:p@127.0.0.1:%d/cam" % server.getsockname()[1]
        next(source_of(parameters(address), print).frames(never))
    (pipeline, backend) = opened[0]
    assert backend == cv2.CAP_GSTREAMER and 'location="%s" protocols=tcp' % address in pipeline
    assert "nvvidconv" in pipeline and pipeline.endswith("appsink drop=true max-buffers=1 sync=false")


def test_another_address_is_refused_without_its_password():
    with pytest.raises(BadInput) as raised:
        source_of(parameters("http://me:geheim@host/x?token=geheim"), print)
    assert "only rtsp://host/path is" in str(raised.value) and "geheim" not in str(raised.value)


def test_a_video_gives_all_its_frames_in_its_own_time(tmp_path):
    source = source_of(parameters(write_video(tmp_path / "a.mp4")), print)
    frames = list(source.frames(never))
    assert (source.live, source.fps, source.total) == (False, 10.0, 6)
    assert [(frame.number, round(frame.time, 3)) for frame in frames] == [(n, n / 10) for n in range(6)]
    for index, frame in enumerate(frames):
        distances = [np.abs(frame.picture.astype(int) - photo(60, 80, other)).mean() for other in range(6)]
        assert min(range(6), key=distances.__getitem__) == index


def test_a_folder_gives_its_pictures_by_name_and_leaves_out_what_is_none(tmp_path):
    told = []
    for index, name in enumerate(("b.png", "a.png")):
        cv2.imwrite(str(tmp_path / name), photo(40, 50, index))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    frames = list(source_of(parameters(tmp_path), told.append).frames(never))
    assert [frame.name for frame in frames] == ["a.png", "b.png"]
    assert np.array_equal(frames[0].picture, photo(40, 50, 1))
    assert len(told) == 1 and told[0].startswith("broken.jpg is left out")


def test_files_that_are_no_source(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for name, told in (
        ("nothing", "There is no .*; name a picture"),
        ("text.mp4", "neither a picture nor a video"),
        ("empty", "holds no picture"),
    ):
        with pytest.raises(BadInput, match=told):
            source_of(parameters(tmp_path / name), print)
    with pytest.raises(BadInput, match="None of the 1 pictures"):
        list(source_of(parameters(tmp_path / "broken.jpg"), print).frames(never))
