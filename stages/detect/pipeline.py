"""Live detection's threads: one takes frames, the main one looks at them, and each sink has its own.

While the network computes one picture, the main thread prepares the next, if there is one already; it never waits for
one while a result is due, so a result is handed on as soon as it is there. All queues hold one or two items. A camera's
oldest are left out where something is slow, so that what is shown is new; a file's all are looked at.
"""

import collections
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from stages.detect.channel import POLL_S, Channel, Closed
from stages.detect.figures import Figures
from stages.detect.sinks.sink import Finding, FrameSink, SinkClosed
from stages.detect.sources.camera import RELEASE_S
from stages.detect.sources.source import FrameSource, LiveFrame, Stopping, Tell
from stages.job import StageFailed

LIVE_FRAMES = 1  # that wait for the network: the newest
FILE_FRAMES = SINK_FINDINGS = 2
PROGRESS_S = 1.0
LAST_WORDS_S = 8.0  # that a sink has to finish once an end was asked for


class SinkWorker:
    """A sink and its thread.

    Attributes:
        sink: of it.
        channel: its queue.
        error: what ended it; SinkClosed where it was meant to end.
    """

    def __init__(self, sink: FrameSink, drops: bool, stopping: Stopping, shown: Callable[[float], None]) -> None:
        self.sink, self._shown = sink, shown
        self.channel: Channel[Finding] = Channel(SINK_FINDINGS, drops, stopping)
        self.error: Optional[Exception] = None
        self._thread = threading.Thread(target=self._run, name=sink.title, daemon=True)
        self._thread.start()

    def end(self, stopping: Stopping) -> None:
        """Let it take what waits, and finish.

        Raises:
            StageFailed: it does not finish although an end was asked for.
        """
        self.channel.close()
        patience = LAST_WORDS_S
        while self._thread.is_alive() and patience > 0:
            self._thread.join(PROGRESS_S / 4)
            patience -= PROGRESS_S / 4 if stopping() else 0
        if self._thread.is_alive():
            self.error = self.error or StageFailed("%s takes nothing and was left unfinished" % self.sink.title)

    def _run(self) -> None:
        try:
            self._take_all()
        except Exception as error:
            self.error = error
        self.channel.close()
        try:
            self.sink.close()
        except Exception as error:
            if self.error is None or isinstance(self.error, SinkClosed):
                self.error = error

    def _take_all(self) -> None:
        while True:
            try:
                finding = self.channel.get()
            except Closed:
                return
            if finding is None:
                self.sink.idle()
            else:
                self.sink.write(finding)
                self._shown(finding.frame.taken_at)


class Pipeline:
    """Looks at the frames of a source.

    Args:
        source, detector, sinks: what to look at, with what, and where results go. The detector is used by the thread
            that calls :meth:`run`, and has ``slots``, ``prepare``, ``start`` and ``finish``.
        figures: counts; a frame is shown when the first sink has it, or is looked at where there is no sink.
        threshold: lowest score of a detection.
        frames: at most so many; 0: all.
        tell: takes warnings.
        progress: called once a second.
    """

    def __init__(
        self,
        source: FrameSource,
        detector: Any,
        sinks: List[FrameSink],
        figures: Figures,
        threshold: float,
        frames: int,
        tell: Tell,
        progress: Callable[[], None],
    ) -> None:
        self._source, self._detector, self._sinks, self._figures = source, detector, sinks, figures
        self._threshold, self._most = threshold, frames
        self._tell, self._progress = tell, progress
        self._is_over = False
        self._workers: List[SinkWorker] = []

    def run(self, stopping: Stopping) -> None:
        """Until the source ends, an end is asked for, or nobody looks any more; then every sink finishes.

        Raises:
            BadInput: not one frame can be had.
            StageFailed: a sink failed.
        """

        def over() -> bool:
            return self._is_over or stopping()

        source = self._source
        frames: Channel[LiveFrame] = Channel(LIVE_FRAMES if source.live else FILE_FRAMES, source.live, over)
        for number, sink in enumerate(self._sinks):
            shown = self._figures.shown if number == 0 else _nothing
            self._workers.append(SinkWorker(sink, source.live, over, shown))
        capture = threading.Thread(target=self._take, args=(frames, over), name="frames", daemon=True)
        ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        capture.start()
        ticker.start()
        try:
            self._look_at_all(frames, over)
        except Closed:
            pass
        finally:
            frames.close()
            for worker in self._workers:
                worker.end(stopping)
            self._is_over = True
            ticker.join()
            capture.join(RELEASE_S + POLL_S)  # it gives a camera back
        self._judge()

    def _take(self, frames: "Channel[LiveFrame]", over: Stopping) -> None:
        try:
            for frame in self._source.frames(over):
                if over() or not frames.put(frame):
                    break
            frames.close()
        except Exception as error:
            frames.close(error)

    def _look_at_all(self, frames: "Channel[LiveFrame]", over: Stopping) -> None:
        detector, started = self._detector, 0
        under_way: Deque[Tuple[int, LiveFrame]] = collections.deque()

        def takes_more() -> bool:
            return not over() and (not self._most or started < self._most)

        while under_way or takes_more():
            frame = None
            try:
                if takes_more():
                    frame = frames.get(0) if under_way else frames.get()
            except Exception:  # the end, or what ended it; comes again once what is under way was handed on
                if not under_way:
                    raise
            if frame is not None:
                if len(under_way) == detector.slots:
                    self._hand_on(*under_way.popleft())
                slot = started % detector.slots
                detector.prepare(frame.picture, slot, bgr=True, quick=self._source.live)
                detector.start(slot)
                under_way.append((slot, frame))
                started += 1
            if under_way and (frame is None or len(under_way) > 1):
                self._hand_on(*under_way.popleft())
            self._look_after_sinks()

    def _hand_on(self, slot: int, frame: LiveFrame) -> None:
        """Wait for the result of a slot, and give it to the sinks."""
        height, width = frame.picture.shape[:2]
        detections: List[Dict[str, Any]] = self._detector.finish(slot, (height, width), self._threshold)
        self._figures.looked(frame.number, len(detections))
        finding = Finding(frame, detections)
        for worker in self._workers:
            worker.channel.put(finding)
        if not self._sinks:
            self._figures.shown(frame.taken_at)

    def _look_after_sinks(self) -> None:
        """End where a sink failed, or the last of several was closed by whoever looked at it."""
        ended = [worker for worker in self._workers if worker.error is not None]
        if not ended:
            return
        has_failed = any(not isinstance(worker.error, SinkClosed) for worker in ended)
        if has_failed or len(ended) == len(self._workers):
            self._is_over = True
        else:
            for worker in ended:
                self._workers.remove(worker)
                self._tell("%s was closed; the other sinks go on, Ctrl-C ends them" % worker.sink.title)

    def _judge(self) -> None:
        """Raise what a sink failed with, tell of what cameras gave and sinks did not take."""
        for worker in self._workers:
            if worker.channel.dropped:
                self._tell("%s was too slow for %d frames" % (worker.sink.title, worker.channel.dropped))
        for worker in self._workers:
            if worker.error is not None and not isinstance(worker.error, SinkClosed):
                raise worker.error

    def _tick(self) -> None:
        shown_at = time.monotonic()
        while not self._is_over:
            time.sleep(0.05)
            if time.monotonic() - shown_at >= PROGRESS_S:
                shown_at += PROGRESS_S
                try:
                    self._progress()
                except OSError:  # whoever listened is gone; a sink that writes there says so
                    return


def _nothing(taken_at: float) -> None:
    """A sink other than the first counts for no figure."""
