"""Stage: boxes on pictures, on a video, or on a dataset's validation pictures beside the truth."""

import collections
import json
import os
import time
from typing import Any, Deque, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple, TypeVar

import cv2
import numpy as np

from stages import drawing, pixels
from stages.detect import detectors, pictures
from stages.detect import media as media_files
from stages.detect.detector import Detection, Detector
from stages.detect.pictures import Loaded, Picture
from stages.detect.video import VideoReader, VideoWriter
from stages.job import BadInput, Job, run
from stages.parameters import DetectParameters

RECORD_ENLARGEMENT = 3  # a record has the network's small size; labels need more room

Source = TypeVar("Source")
ToLookAt = Tuple[Source, np.ndarray, pixels.Shape]
"""What a picture is of, its pixels at any size, and the (height, width) that its boxes are to be for."""


class DetectionRun:
    """One run of the detector over pictures or a video: makes their entries and drawings, and counts.

    Attributes:
        threshold: lowest score of a detection.
        looks, detections: pictures or frames so far, and what was found on them.
        seconds: how long that took, without what the backend did while the next picture was read.
    """

    def __init__(self, job: Job, parameters: DetectParameters, detector: Detector) -> None:
        self._detector = detector
        self.threshold = float(parameters.score_threshold)
        self._max_megapixels = parameters.max_megapixels
        self.looks, self.detections, self.seconds = 0, 0, 0.0
        self._job, self._draws = job, bool(parameters.draw)
        self._names: Set[str] = set()
        self._left_out = 0

    def pictures(self, sources: Sequence[Picture]) -> List[Dict[str, Any]]:
        """The entries of ``detections.json`` for pictures; one that cannot be read is warned of, and left out.

        Raises:
            BadInput: not one can be read.
        """
        entries = []
        for (source, loaded), found in self._looked(self._loaded(sources)):
            entries.append(self._picture(source, loaded, found))
            self._job.progress(len(entries) + self._left_out, len(sources), "%d detections" % self.detections)
        if not entries:
            raise BadInput(
                "None of the %d pictures can be read, among them %s; check the files" % (len(sources), sources[0].name)
            )
        return entries

    def video(self, path: str) -> Dict[str, Any]:
        """The entry of ``detections.json`` for a video; writes the drawn video too.

        Raises:
            BadInput: the file is not a video, or no frame of it can be read.
            StageFailed: the drawn video could not be written.
        """
        reader = VideoReader(path, self._max_megapixels)
        writer: Optional[VideoWriter] = None
        frames: List[Dict[str, Any]] = []
        height = width = 0
        drawn = self._free_name("videos", os.path.basename(path), ".mp4") if self._draws else None
        for frame, found in self._looked((frame, frame, frame.shape[:2]) for frame in reader.frames()):
            frames.append({"time": round(len(frames) / reader.fps, 3), "detections": found})
            if len(frames) == 1:
                height, width = frame.shape[:2]
                if drawn:
                    writer = VideoWriter(self._job.out(*drawn.split("/")), reader.fps, height, width)
            if writer:
                writer.write(drawing.draw(frame, found))
            self._job.progress(len(frames), max(reader.declared, len(frames)), "%d detections" % self.detections)
        if writer:
            writer.close()
        if len(frames) < reader.declared:
            self._job.warn("%s has %d frames, but only the first %d can be read" % (path, reader.declared, len(frames)))
        return {
            "file": os.path.basename(path),
            "width": width,
            "height": height,
            "fps": reader.fps,
            "frames": frames,
            "drawing": drawn,
        }

    def _loaded(self, sources: Sequence[Picture]) -> Iterator[ToLookAt[Tuple[Picture, Loaded]]]:
        for source in sources:
            try:
                loaded = source.load((self._detector.height, self._detector.width))
                yield (source, loaded), loaded.picture, loaded.shape
            except ValueError as error:
                self._left_out += 1
                self._job.warn("%s is left out: %s" % (source.name, error))

    def _looked(self, pictures: Iterable[ToLookAt[Source]]) -> Iterator[Tuple[Source, List[Detection]]]:
        """What each picture is of, with the detections on it that reach the threshold.

        The next is read while one is computed.
        """
        under_way: Deque[Tuple[int, Source, pixels.Shape]] = collections.deque()
        for turn, (source, picture, shape) in enumerate(pictures):
            slot, start = turn % self._detector.slots, time.perf_counter()
            self._detector.prepare(picture, slot)
            self._detector.start(slot)
            self.seconds += time.perf_counter() - start
            under_way.append((slot, source, shape))
            if len(under_way) == self._detector.slots:
                yield self._finished(*under_way.popleft())
        while under_way:
            yield self._finished(*under_way.popleft())

    def _finished(self, slot: int, source: Source, shape: pixels.Shape) -> Tuple[Source, List[Detection]]:
        start = time.perf_counter()
        found = self._detector.finish(slot, shape, self.threshold)
        self.seconds += time.perf_counter() - start
        self.looks += 1
        self.detections += len(found)
        return source, found

    def _picture(self, source: Picture, loaded: Loaded, detections: List[Detection]) -> Dict[str, Any]:
        height, width = source.size or loaded.shape
        scale = width / loaded.shape[1], height / loaded.shape[0]
        found = [dict(detection, box=_scaled(detection["box"], *scale)) for detection in detections]
        entry = {
            "file": source.name,
            "width": width,
            "height": height,
            "detections": found,
            "truth": self._truth(source),
            "drawing": None,
        }
        if self._draws:
            entry["drawing"] = self._draw(entry, loaded.whole(), source.size is not None)
        return entry

    def _truth(self, source: Picture) -> Optional[List[Dict[str, Any]]]:
        if source.truth is None:
            return None
        return [
            {
                "class": self._detector.class_name(box["class_id"]),
                "class_id": box["class_id"],
                "box": _scaled(box["box"], 1, 1),
            }
            for box in source.truth
        ]

    def _draw(self, entry: Dict[str, Any], picture: np.ndarray, is_record: bool) -> str:
        """Write the drawing of an entry; returns its path in the output folder."""
        if is_record:
            picture = _enlarged(picture, entry["height"], entry["width"])
        scale = picture.shape[1] / entry["width"], picture.shape[0] / entry["height"]
        found, truth = (
            [dict(box, box=_scaled(box["box"], *scale)) for box in boxes]
            for boxes in (entry["detections"], entry["truth"] or [])
        )
        name = self._free_name("pictures", entry["file"], ".jpg")
        with open(self._job.out(*name.split("/")), "wb") as stream:
            stream.write(pixels.encode_jpeg(drawing.draw(picture, found, truth)))
        return name

    def _free_name(self, folder: str, name: str, suffix: str) -> str:
        """``folder/name`` with that suffix, and unlike all before: a.jpg for a.jpg, a.png.jpg for a.png."""
        return drawing.free_name(folder + "/" + name + ("" if name.endswith(suffix) else suffix), self._names)


def main(job: Job) -> None:
    """Write ``detections.json``, drawn ``pictures/`` and drawn ``videos/`` for the input ``media`` or ``records``."""
    cv2.setNumThreads(job.cpus)
    parameters, media = job.read(DetectParameters), job.inputs.get("media")
    if media and not os.path.exists(media):
        raise BadInput("There is no %s; name a picture, a folder of pictures or a video" % media)
    with detectors.opened(job.inputs, parameters.backend) as detector:
        detection_run = DetectionRun(job, parameters, detector)
        document: Dict[str, Any] = {
            "model": {"classes": detector.classes, "input": [detector.height, detector.width]},
            "score_threshold": detection_run.threshold,
            "pictures": [],
            "videos": [],
        }
        if media and os.path.isfile(media) and media_files.kind_of(media) == media_files.VIDEO:
            document["videos"].append(detection_run.video(media))
        else:
            sources = (
                pictures.from_files(media, parameters.max_megapixels, job.warn)
                if media
                else pictures.from_records(job.inputs["records"])
            )
            document["pictures"] = detection_run.pictures(sources[: parameters.pictures or None])
    with open(job.out("detections.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, sort_keys=True)
    job.metrics(
        pictures=detection_run.looks,
        detections=detection_run.detections,
        milliseconds_per_picture=round(1000 * detection_run.seconds / detection_run.looks, 1),
    )


def _scaled(box: Sequence[float], across: float, down: float) -> List[float]:
    return [round(float(edge) * scale, 2) for edge, scale in zip(box, (across, down, across, down))]


def _enlarged(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A record's picture with the proportions of its original, three times as large but no larger than the original."""
    scale = min(1.0, RECORD_ENLARGEMENT * max(picture.shape[:2]) / max(height, width))
    return pixels.resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))


if __name__ == "__main__":
    run(main)
