"""From what the user calls a sink to that sink."""

import os
import re
from typing import Callable, Dict, List

from stages.detect.figures import Figures
from stages.detect.sinks.lines import LinesSink
from stages.detect.sinks.mjpeg import MjpegSink
from stages.detect.sinks.sink import FrameSink
from stages.detect.sinks.video_file import VideoSink
from stages.detect.sinks.window import WindowSink
from stages.detect.sources.source import FrameSource, Stopping, Tell
from stages.job import BadInput

KINDS = "window, mjpeg:PORT, file:PATH.mp4, lines or lines:PATH; or none alone"


class Sinks:
    """Makes the sinks of one run.

    Args:
        folder: where paths that are not absolute count from.
        source: of the frames.
        figures: of the run.
        tell: takes warnings.
        stopping: whether an end was asked for.
    """

    def __init__(self, folder: str, source: FrameSource, figures: Figures, tell: Tell, stopping: Stopping) -> None:
        self._folder, self._source, self._figures = folder, source, figures
        self._tell, self._stopping = tell, stopping

    def made(self, names: List[str]) -> List[FrameSink]:
        """The sinks of these names, in their order; where one cannot be had, those before it are closed again.

        Raises:
            BadInput: there is no such sink, a name comes twice, or one cannot be had.
            StageFailed: the disk does not take it.
        """
        meant = [self._meant(name) for name in names]
        twice = [name for name, one in zip(names, meant) if meant.count(one) > 1]
        if twice:
            raise BadInput("The sink %s is named twice; once is enough" % twice[0])
        makers = [self._maker(name) for name in names]
        made: List[FrameSink] = []
        try:
            for make in makers:
                made.append(make())
        except Exception:
            for sink in made:
                sink.close()
            raise
        return made

    def _meant(self, name: str) -> str:
        """The file that is meant, however its path is spelt; or the name."""
        kind, _, value = name.partition(":")
        return os.path.realpath(os.path.join(self._folder, value)) if kind in ("file", "lines") and value else name

    def _maker(self, name: str) -> Callable[[], FrameSink]:
        kind, colon, value = name.partition(":")
        plain: Dict[str, Callable[[], FrameSink]] = {
            "window": lambda: WindowSink(self._source.title, not self._source.live, self._stopping),
            "lines": lambda: LinesSink(None),
        }
        if not colon and kind in plain:
            return plain[kind]
        if kind == "mjpeg" and re.match(r"\d{1,5}$", value) and int(value) < 1 << 16:
            return lambda: MjpegSink(int(value), self._figures, self._source.title)
        path = os.path.join(self._folder, value)
        if kind == "file" and value:
            return lambda: VideoSink(path, self._source.fps, self._source.live, self._tell)
        if kind == "lines" and value:
            return lambda: LinesSink(path)
        raise BadInput("There is no sink %s; there are %s" % (name, KINDS))
