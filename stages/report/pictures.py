"""The sample pictures of the report: which ones, how well each was detected, and their pixels as data URIs."""

import base64
from typing import Any, Dict, List, Optional, Sequence

from stages import pixels
from stages.job import BadInput
from stages.pages.artifact import Artifact

MOST_PICTURES = 36
LONG_SIDE = 720
JPEG_QUALITY = 80
MOST_BYTES = 5_500_000
FOUND_IOU = 0.5


def sample_pictures(detect: Artifact) -> List[Dict[str, Any]]:
    """Up to 36 drawn pictures of a detect artifact, by name, at most 5.5 MB of JPEG in all.

    Each is the entry of ``detections.json`` with ``truth`` marked ``found`` or not, ``detections`` marked ``right``
    (None without truth), and ``uri``, the drawing as a data URI.

    Raises:
        BadInput: a drawing is missing or is not a picture.
    """
    drawn = [entry for entry in detect.document("detections.json")["pictures"] if entry.get("drawing")]
    samples, bytes_left = [], MOST_BYTES
    for entry in choose([judge(entry) for entry in drawn], MOST_PICTURES):
        uri = thumbnail(detect, entry["drawing"])
        bytes_left -= len(uri) * 3 // 4  # base64 makes four characters of three bytes
        if bytes_left < 0:
            break
        samples.append(dict(entry, uri=uri))
    return sorted(samples, key=lambda entry: entry["file"])


def judge(entry: Dict[str, Any]) -> Dict[str, Any]:
    """``entry`` with every detection marked ``right`` and every truth box marked ``found``.

    As PASCAL VOC counts: in the order of their scores, a detection is right when a truth box of its class that no
    better detection has taken overlaps it with an IoU of at least 0.5. Without truth nothing is judged (``right`` is
    None).
    """
    if entry.get("truth") is None:
        detections = [dict(detection, right=None) for detection in entry["detections"]]
        return dict(entry, detections=detections, truth=None, mistakes=0)
    truth = [dict(box, found=False) for box in entry["truth"]]
    detections = []
    for detection in sorted(entry["detections"], key=lambda one: -one["score"]):
        match = _best_match(detection, [box for box in truth if not box["found"]])
        if match is not None:
            match["found"] = True
        detections.append(dict(detection, right=match is not None))
    mistakes = sum(not one["right"] for one in detections) + sum(not box["found"] for box in truth)
    return dict(entry, detections=detections, truth=truth, mistakes=mistakes)


def choose(entries: Sequence[Dict[str, Any]], most: int) -> List[Dict[str, Any]]:
    """At most ``most`` entries: half of them those with most mistakes, the others spread evenly over the rest."""
    ranked = sorted(entries, key=lambda entry: (-entry["mistakes"], entry["file"]))
    if len(ranked) <= most:
        return ranked
    worst, rest = ranked[: most // 2], ranked[most // 2 :]
    wanted = most - len(worst)
    return worst + [rest[index * len(rest) // wanted] for index in range(wanted)]


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes [xmin, ymin, xmax, ymax]; 0 to 1, and 0 where both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def _best_match(detection: Dict[str, Any], truth: Sequence[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    same_class = [box for box in truth if box["class"] == detection["class"]]
    best = max(same_class, key=lambda box: iou(box["box"], detection["box"]), default=None)
    return best if best is not None and iou(best["box"], detection["box"]) >= FOUND_IOU else None


def thumbnail(artifact: Artifact, name: str) -> str:
    """A picture of an artifact as a data URI, JPEG, shrunk to 720 pixels on its longer side.

    Raises:
        BadInput: it is missing or is not a picture.
    """
    with open(artifact.path(name), "rb") as stream:
        data = stream.read()
    try:
        picture = pixels.decode(data, pixels.ANY_SIZE)
    except ValueError as error:
        raise BadInput(
            "%s of the %s artifact cannot be shown: %s; make it again with ./run %s."
            % (name, artifact.stage, error, artifact.stage)
        ) from error
    height, width = picture.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    smaller = pixels.resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))
    jpeg = pixels.encode_jpeg(smaller, JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
