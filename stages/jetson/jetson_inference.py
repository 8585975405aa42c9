"""A detector put where jetson-inference's detectNet finds it, in the layout of the release that is there.

Since December 2022 (commit 0990514d) detectNet reads ``networks/models.json``: the detector gets a folder and an entry
of its own. Earlier releases, among them the branch L4T-R32.7.1, know their own models only: there it takes the place
of SSD-Mobilenet-v2, whose files are kept beside. detectNet builds the engine itself when it first runs, with its own
FlattenConcat plugin, whose serialised form differs from TensorRT's; so no engine is installed, and old ones, which
detectNet would take by their names, are removed. Source: c/detectNet.cpp, c/tensorNet.cpp, data/networks/models.json.
"""

import hashlib
import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

from stages import files
from stages.job import BadInput, StageFailed

MODELS = "models.json"
SLOT, SLOT_MODEL, SLOT_LABELS = "SSD-Mobilenet-v2", "ssd_mobilenet_v2_coco.uff", "ssd_coco_labels.txt"
SLOT_NETWORK = "ssd-mobilenet-v2"
MODEL, LABELS = "model.uff", "labels.txt"
KEPT = ".original"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}$")
# What detectNet leaves beside a model: engines by several names, calibration, checksums.
CACHES = re.compile(r"\.(.*\.)?(engine|tensorcache|calibration|sha256sum)$")
LARGEST_JSON = 1 << 24


class Place(NamedTuple):
    """Where a detector goes.

    Attributes:
        networks: jetson-inference's folder of networks.
        folder: of the detector, in it.
        model, labels: names of the files there.
        network: what ``detectnet --network=`` is to be given.
        listed: whether models.json has an entry for it.
    """

    networks: str
    folder: str
    model: str
    labels: str
    network: str
    listed: bool


class Detector(NamedTuple):
    """What is installed: the .uff for pictures that come blue first, and the lines of its labels."""

    uff: bytes
    labels: List[str]
    input: str
    shape: List[int]
    boxes_output: str
    count_output: str


def find(folder: str, name: str) -> Place:
    """Where a detector of that name goes in jetson-inference's ``folder``: a clone, or its folder of networks.

    Raises:
        BadInput: it is neither, or the name cannot be one.
    """
    if not NAME.match(name):
        raise BadInput("%r cannot be a detector's name; take letters, digits, dots and dashes, such as cones" % name)
    networks = next((path for path in (os.path.join(folder, "data", "networks"), folder) if _has_networks(path)), None)
    if networks is None:
        raise BadInput(
            "%s is neither a clone of jetson-inference nor its folder of networks (/usr/local/bin/networks)" % folder
        )
    if os.path.isfile(os.path.join(networks, MODELS)):
        return Place(networks, os.path.join(networks, name), MODEL, LABELS, name, True)
    return Place(networks, os.path.join(networks, SLOT), SLOT_MODEL, SLOT_LABELS, SLOT_NETWORK, False)


def _has_networks(path: str) -> bool:
    """jetson-inference's own files are there: its list of models, or label files of the models that it knows."""
    return any(
        os.path.isfile(os.path.join(path, name)) for name in (MODELS, SLOT_LABELS, "ilsvrc12_synset_words.txt")
    ) or (os.path.isdir(os.path.join(path, SLOT)))


def install(place: Place, detector: Detector) -> List[str]:
    """Put the detector there; every file appears whole, and what was there before is kept.

    Returns:
        What was done, a sentence each.

    Raises:
        BadInput: models.json is damaged, or its entry of that name is another's.
        StageFailed: the folder cannot be written.
    """
    entries = _entries(place, detector) if place.listed else {}
    done = []
    try:
        os.makedirs(place.folder, exist_ok=True)
        model, labels = (os.path.join(place.folder, one) for one in (place.model, place.labels))
        if not place.listed:
            done += [sentence for path in (model, labels) for sentence in _kept(path)]
        _write(labels, "".join(line + "\n" for line in detector.labels).encode("utf-8"))
        _write(model, detector.uff)
        done += ["%s and %s are written" % (model, place.labels)]
        done += ["%s is removed" % path for path in _without_caches(model)]
        _write(model + ".sha256sum", hashlib.sha256(detector.uff).hexdigest().encode("ascii"))
        if place.listed:
            path = os.path.join(place.networks, MODELS)
            _write(path, json.dumps(entries, indent=4, ensure_ascii=False).encode("utf-8"))
            done.append("%s has the entry %s" % (path, place.network))
    except OSError as error:
        raise StageFailed(
            "%s cannot be written (%s): detectNet has to write its engine there too; make it yours, for instance by"
            " sudo chown -R $USER %s" % (error.filename or place.folder, error.strerror, place.networks)
        ) from error
    return done


def check(place: Place, detector: Detector) -> List[str]:
    """What is wrong with an installed detector, a sentence each; empty if it is as it was installed."""
    model, labels = (os.path.join(place.folder, one) for one in (place.model, place.labels))
    wrong = []
    for path, wanted in (
        (model, detector.uff),
        (labels, "".join(line + "\n" for line in detector.labels).encode("utf-8")),
    ):
        held = _held(path)
        if held is None:
            wrong.append("there is no %s" % path)
        elif held != wanted:
            wrong.append("%s is not what was installed" % path)
    noted = _held(model + ".sha256sum")
    if noted is not None and noted.strip() != hashlib.sha256(detector.uff).hexdigest().encode("ascii"):
        wrong.append("%s.sha256sum is of another model: detectNet would build its engine at every start" % model)
    if place.listed and _listed(place).get("detection", {}).get(place.network) != _entry(place, detector):
        wrong.append("%s has no such entry %s" % (os.path.join(place.networks, MODELS), place.network))
    if not os.access(place.folder, os.W_OK):
        wrong.append("%s cannot be written: detectNet would build its engine at every start" % place.folder)
    return wrong


def _entry(place: Place, detector: Detector) -> Dict[str, Any]:
    return {
        "dir": place.network,
        "model": place.model,
        "labels": place.labels,
        "input": detector.input,
        "input_dims": detector.shape,
        "output": {"bbox": detector.boxes_output, "count": detector.count_output},
        "description": "made by Nanoforge",
    }


def _entries(place: Place, detector: Detector) -> Dict[str, Any]:
    """models.json with the detector's entry."""
    listed = _listed(place)
    detection = listed.setdefault("detection", {})
    other = detection.get(place.network)
    if other is not None and other.get("description") != "made by Nanoforge":
        raise BadInput("jetson-inference has a network %s of its own; give the detector another name" % place.network)
    for key, entry in detection.items():
        if key != place.network and place.network in (entry.get("alias") or []):
            raise BadInput("jetson-inference knows %s as %s; give the detector another name" % (place.network, key))
    detection[place.network] = _entry(place, detector)
    return listed


def _listed(place: Place) -> Dict[str, Any]:
    path = os.path.join(place.networks, MODELS)
    try:
        listed = json.loads(files.read(path, LARGEST_JSON).decode("utf-8"))
        if not isinstance(listed, dict) or not isinstance(listed.get("detection", {}), dict):
            raise ValueError("it has no section detection")
    except (OSError, ValueError) as error:
        raise BadInput("%s cannot be read (%s); get it again from jetson-inference" % (path, error)) from error
    return listed


def _kept(path: str) -> List[str]:
    """Keep what jetson-inference brought, once."""
    if not os.path.lexists(path) or os.path.lexists(path + KEPT):
        return []
    os.rename(path, path + KEPT)
    return ["%s of jetson-inference is kept as %s" % (path, os.path.basename(path) + KEPT)]


def _without_caches(model: str) -> List[str]:
    folder, name = os.path.split(model)
    found = [one for one in sorted(os.listdir(folder)) if one.startswith(name) and CACHES.match(one[len(name) :])]
    for one in found:
        os.remove(os.path.join(folder, one))
    return [os.path.join(folder, one) for one in found]


def _write(path: str, data: bytes) -> None:
    aside = path + ".part"
    with open(aside, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, path)


def _held(path: str) -> Optional[bytes]:
    try:
        return files.read(path)
    except OSError:
        return None
