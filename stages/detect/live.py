"""Stage: boxes on what a camera sees, or on a file at the model's own pace, until its end or Ctrl-C."""

import signal
from typing import Any

import cv2

from stages.detect import detectors
from stages.detect.figures import Figures
from stages.detect.pipeline import Pipeline
from stages.detect.sinks.choice import Sinks
from stages.detect.sinks.mjpeg import MjpegSink
from stages.detect.sources.choice import source_of
from stages.job import BadInput, Job, run
from stages.parameters import LiveParameters


class EndAsked:
    """Whether SIGINT or SIGTERM came; a second one ends the process as it would have without this.

    The handler does nothing but set an attribute: it interrupts whatever the main thread does, locks held or not.
    """

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: Any) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main(job: Job) -> None:
    """Detect on ``source`` and give what is found to ``sinks``; their relative paths count from the output folder."""
    cv2.setNumThreads(job.cpus)
    parameters, stopping, figures = job.read(LiveParameters), EndAsked(), Figures()
    source = source_of(parameters, job.warn)

    with detectors.opened(job.inputs, parameters.backend) as detector:
        sinks = Sinks(job.output, source, figures, job.warn, stopping).made(parameters.sinks)
        pages = "".join(", shown at %s" % sink.title for sink in sinks if isinstance(sink, MjpegSink))

        def progress() -> None:
            job.progress(figures.frames, parameters.frames or source.total, figures.sentence() + pages)

        if pages:  # whoever wants to watch has to know where, before anything is seen
            progress()
        threshold, most = parameters.score_threshold, parameters.frames
        Pipeline(source, detector, sinks, figures, threshold, most, job.warn, progress).run(stopping)
        progress()
    if not figures.frames and not stopping():
        raise BadInput("%s gave no frame; look at it with another program" % source.title)
    job.metrics(**figures.summary())


if __name__ == "__main__":
    run(main)
