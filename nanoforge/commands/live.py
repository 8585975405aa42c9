"""`detect --live`: boxes on what a camera sees, until it is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict, List, Sequence

from nanoforge.commands.options import StageOptions
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.paths import user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.pipeline.build import build, metric_words
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import LIVE_MODULE, ArtifactInput, detector_inputs
from nanoforge.runners import virtual_environments
from nanoforge.runners.contract import event_of
from nanoforge.runners.isolated import isolated
from nanoforge.runners.local import child_environment, processors
from nanoforge.runners.placement import LOCAL
from nanoforge.sessions import Session
from stages.job import EXIT_BAD_INPUT
from stages.parameters import LiveParameters

LIVE = "live"
GRACE_S = 10.0
# What a window, and the sound and camera daemons of a desktop, are found by.
OF_THE_DESKTOP = ("DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
TO_A_FILE = ("file:", "lines:")
# Looked at before a model is made, which takes hours; the program itself looks closer.
A_CAMERA = re.compile(r"(usb|csi):|[a-z]+://|/dev/")
A_SINK = re.compile(r"window|lines|mjpeg:\d+|(file|lines):.+")


def live(source: str, sinks: Sequence[str], frames: int, options: StageOptions) -> None:
    """Detect on a camera, stream or file and show what is found, until its end, so many frames, or Ctrl-C.

    Raises:
        BadInput: on a host or in containers, which have no camera; or the source or a sink cannot be used.
        StageFailed: it ended otherwise than it should.
    """
    if options.host or options.runner not in ("", LOCAL):
        raise BadInput("detect --live reads a camera of this machine: leave out --host and --runner.")
    project = options.project("detect")
    section = project.config.detect
    width, height, fps = map(int, re.split("[x@]", section.camera))
    asked = LiveParameters(
        _source(source), _sinks(sinks), section.score_threshold, section.backend, [height, width], fps, frames
    )
    inputs = _inputs(project)
    environment = compose.local_environment(project.stage("detect").environment)
    python = virtual_environments.ensure(environment, project.console, project.config.runner.python36)
    with scratch_folder(Path(tempfile.gettempdir()), LIVE) as folder:
        _until_its_end(_started(python, folder, inputs, asked, project), project.console)


def _started(python: Path, folder: Path, inputs: Dict[str, str], asked: LiveParameters, project: Project) -> Session:
    """The program as it runs: as a stage does, but in the user's folder, and with their desktop."""
    output, scratch, cpus = folder / "output", folder / "scratch", processors(project.placement.limits)
    for place in (output, scratch):
        place.mkdir()
    job = {
        "stage": LIVE,
        "inputs": inputs,
        "output": str(output),
        "scratch": str(scratch),
        "parameters": asked._asdict(),
        "cpus": cpus,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = isolated(python, LIVE_MODULE, str(folder / "job.json"), flags=("-W", "ignore"))
    desktop = {name: os.environ[name] for name in OF_THE_DESKTOP if name in os.environ}
    return Session(command, Path.cwd(), {**child_environment(cpus), **desktop})


def _inputs(project: Project) -> Dict[str, str]:
    """The folders that the backend computes with, made first if need be."""
    found: Dict[str, str] = {}
    for name, source in detector_inputs(project.context).items():
        assert isinstance(source, ArtifactInput)
        found[name] = str(build(project, source.stage).folder / source.part)
    return found


def _until_its_end(session: Session, console: Console) -> None:
    heard = _LiveWords(console)
    stopped = False
    try:
        try:
            heard.all(session)
        except KeyboardInterrupt:
            # It closes its files and windows by itself; a second Ctrl-C, or too long a wait, ends it.
            stopped = True
            session.signal(signal.SIGINT)
            patience = threading.Timer(GRACE_S, session.end, (1.0,))
            patience.start()
            heard.all(session)
            patience.cancel()
    finally:
        session.end(GRACE_S)
        code = session.reap()
    if heard.error:
        raise (BadInput if code == EXIT_BAD_INPUT else StageFailed)(f"detect: {heard.error}")
    if code and not (stopped and code in (-signal.SIGINT, 128 + signal.SIGINT)):
        raise StageFailed(f"detect ended with exit code {code}{heard.last_words}.")
    console.say(f"detect has ended{f' ({metric_words(heard.metrics)})' if heard.metrics else ''}.")


class _LiveWords:
    """Takes the program's lines: detections go to standard output as they come, events to the user."""

    def __init__(self, console: Console) -> None:
        self.error = ""
        self.metrics: Dict[str, Any] = {}
        self._console = console
        self._last: List[str] = []

    def all(self, session: Session) -> None:
        """Take everything until the program has ended."""
        for line in session.lines:
            event = event_of(line)
            if event is None:
                self._take(line)
            elif "progress" in event:
                self._console.say(f"  {event['progress']['message']}")
            elif "warning" in event:
                self._console.warn(event["warning"])
            self.metrics.update((event or {}).get("metrics", {}))
            self.error = (event or {}).get("error", self.error)

    def _take(self, line: str) -> None:
        """Standard output is for programs that read detections, so that other words go where the user looks."""
        if line.startswith("{"):
            sys.stdout.write(line)
            sys.stdout.flush()
        elif line.strip():
            self._last = [*self._last, line.strip()][-3:]
            self._console.say(line.rstrip())

    @property
    def last_words(self) -> str:
        return f" and said: {' / '.join(self._last)}" if self._last else ""


def _source(text: str) -> str:
    """A camera or an address as it stands; a file or folder by its whole path."""
    path = user_path(text).absolute()
    if not path.exists() and not A_CAMERA.match(text):
        raise BadInput(
            f"There is no {path}: --live takes a picture, a folder of them, a video, usb:0, csi:0 or rtsp://HOST/PATH."
        )
    return str(path) if path.exists() else text


def _sinks(texts: Sequence[str]) -> List[str]:
    """What is done with frames, files by their whole paths; JSON lines where nothing is asked for."""
    if list(texts) == ["none"]:
        return []
    odd = next((text for text in texts if not A_SINK.fullmatch(text)), None)
    if odd is not None:
        raise BadInput(
            f"There is no sink {odd}: --sink takes window, mjpeg:PORT, file:PATH.mp4, lines, lines:PATH, or none alone."
        )
    return [_with_whole_path(text) for text in texts] or ["lines"]


def _with_whole_path(sink: str) -> str:
    kind = next((kind for kind in TO_A_FILE if sink.startswith(kind)), "")
    return f"{kind}{user_path(sink[len(kind) :]).absolute()}" if kind else sink
