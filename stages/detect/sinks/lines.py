"""What was found as JSON, a line for each frame."""

import json
import os
from typing import Optional

from stages.detect.sinks import aside
from stages.detect.sinks.sink import Finding, FrameSink, SinkClosed
from stages.disk import writing

STANDARD_OUTPUT = 1


class LinesSink(FrameSink):
    """Writes ``{"frame", "time", "detections"}``, with ``file`` where frames are pictures.

    Args:
        path: of a file that is not there yet; None: standard output.

    Raises:
        BadInput: the file is there already.
        StageFailed: its folder cannot be written to.
    """

    def __init__(self, path: Optional[str]) -> None:
        self.title, self._path = path or "standard output", path
        self._aside = aside.begun(path) if path else ""
        self._descriptor: Optional[int] = None if path else STANDARD_OUTPUT

    def write(self, finding: Finding) -> None:
        frame = finding.frame
        line = {"frame": frame.number, "time": round(frame.time, 3), "detections": finding.detections}
        if frame.name is not None:
            line["file"] = frame.name
        data = (json.dumps(line, sort_keys=True) + "\n").encode("utf-8")
        try:
            with writing(self.title):
                if self._descriptor is None:
                    self._descriptor = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
                _write_all(self._descriptor, data)
        except Exception as error:
            if isinstance(error.__cause__, BrokenPipeError) and not self._path:
                _close_standard_output()
                raise SinkClosed() from None
            raise

    def close(self) -> None:
        if self._path and self._descriptor is not None:
            os.close(self._descriptor)
            aside.finished(self._aside, self._path)


def _write_all(descriptor: int, data: bytes) -> None:
    """A line in one call, so that those of other threads cannot split it, unless the other end takes but a part."""
    while data:
        data = data[os.write(descriptor, data) :]


def _close_standard_output() -> None:
    """Whoever read it, such as ``head``, is gone: what is said from now on goes nowhere, rather than being an error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, STANDARD_OUTPUT)
    os.close(nothing)
