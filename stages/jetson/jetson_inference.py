"""A detector put where jetson-inference's detectNet finds it, in the layout of the release that is there.

Since December 2022 detectNet reads ``networks/models.json``: the detector gets a folder and an entry of its own. What
came before knows its own models only: there the detector takes the place of SSD-Mobilenet-v2, whose files are kept
beside it. ``detectnet --model=model.uff`` works in no release: it gives the parser an input of (1, 1, 1).

detectNet builds the engine itself when it first runs. None is installed: its own FlattenConcat plugin, registered
under TensorRT's name, writes other bytes into an engine (the number of inputs and their sizes) than TensorRT's (axis
and batch flag too), so that an engine built outside could not be read, or be read wrongly. Engines that are there
would be taken by their names, so those of another model are removed.

Sources: dusty-nv/jetson-inference, c/detectNet.cpp, c/tensorNet.cpp, c/modelDownloader.cpp, plugins/FlattenConcat.cpp.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set

from stages import disk, files
from stages.jetson.jetson_inference_release import MODELS, SLOT, SLOT_LABELS, InferenceRelease
from stages.job import BadInput, StageFailed

SLOT_MODEL, SLOT_NETWORK = "ssd_mobilenet_v2_coco.uff", "ssd-mobilenet-v2"
# What is built in with the slot: names of the tensors, and the input's shape.
SLOT_NAMES, SLOT_SHAPE = ("Input", "NMS", "NMS_1"), [3, 300, 300]
KEPT, AUTHOR = ".original", "made by Nanoforge"
# In the slot: says whose the files there are.
MARK = "nanoforge.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
# What detectNet leaves beside a model: engines by several names, calibration, checksums.
CACHES = re.compile(r"\.(.*\.)?(engine|tensorcache|calibration|sha256sum)$")
LARGEST_JSON = 1 << 24
# detectNet reads lines of up to 511 bytes; a longer one would count as two classes.
LONGEST_LABEL = 500


class Place(NamedTuple):
    """Where a detector goes.

    Attributes:
        release: what detectNet can do there.
        folder: of the detector, in the folder of networks.
        model, labels: names of the files there.
        network: what ``detectnet --network=`` is to be given.
    """

    release: InferenceRelease
    folder: str
    model: str
    labels: str
    network: str

    @property
    def models(self) -> str:
        """The path of models.json."""
        return os.path.join(self.release.networks, MODELS)

    @property
    def model_path(self) -> str:
        return os.path.join(self.folder, self.model)


class DetectNetModel(NamedTuple):
    """What is installed: the .uff for pictures that come blue first, the labels file's bytes, and names of tensors."""

    uff: bytes
    labels: bytes
    input: str
    shape: List[int]
    boxes_output: str
    count_output: str


def labels_file(classes: List[str]) -> bytes:
    """The labels file for these classes, of which the first is the background: a line each, as detectNet reads it.

    A line whose tenth byte is a space and that begins with n loses nine bytes there, which are taken for a WordNet
    number; it is given one.

    Raises:
        BadInput: a class has no line that detectNet would read back.
    """
    lines = []
    for number, name in enumerate(["BACKGROUND", *classes[1:]]):
        line = re.sub(r"[\x00-\x1f\x7f]+", " ", name).encode("utf-8")
        if len(line) > LONGEST_LABEL:
            raise BadInput(
                "The class %.40s... has a name of %d bytes; detectNet reads %d" % (name, len(line), LONGEST_LABEL)
            )
        is_number = line[:1] == b"n" and line[9:10] == b" "
        lines.append(b"n%08d " % number + line if is_number else line)
    return b"".join(line + b"\n" for line in lines)


def place(release: InferenceRelease, name: str, model: DetectNetModel) -> Place:
    """Where the detector goes in that release.

    Raises:
        BadInput: the name cannot be one, or is another network's; or the release has another input built in.
    """
    if not NAME.match(name):
        raise BadInput("%r cannot be a detector's name; take letters, digits, dots and dashes: cones" % name)
    if release.listed:
        made = Place(release, os.path.join(release.networks, name), "model.uff", name + "_labels.txt", name)
        _check_name(made)
        return made
    names = (model.input, model.boxes_output, model.count_output)
    if model.shape != SLOT_SHAPE or names != SLOT_NAMES:
        raise BadInput(
            "This jetson-inference has the input Input %s and the outputs NMS and NMS_1 built in, the detector has %s"
            " %s, %s and %s; train with model.input_size = 300, or get jetson-inference's branch master"
            % (SLOT_SHAPE, model.input, model.shape, model.boxes_output, model.count_output)
        )
    return Place(release, os.path.join(release.networks, SLOT), SLOT_MODEL, SLOT_LABELS, SLOT_NETWORK)


def install(where: Place, model: DetectNetModel) -> List[str]:
    """Put the detector there; every file appears whole, and what jetson-inference brought is kept.

    Returns:
        What was done, a sentence each; empty where nothing was to do.

    Raises:
        BadInput: models.json is damaged.
        OSError: the disk is full, and the like.
        StageFailed: the folder may not be written.
    """
    listed = _listed(where) if where.release.listed else {}
    try:
        return list(_installed(where, model, listed))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise StageFailed(
            "%s cannot be written (%s): detectNet has to write its engine there too; make it yours, for instance by"
            " sudo chown -R $USER %s" % (error.filename or where.folder, error.strerror, where.release.networks)
        ) from error


def _installed(where: Place, model: DetectNetModel, listed: Dict[str, Any]) -> Iterator[str]:
    labels, mark = os.path.join(where.folder, where.labels), os.path.join(where.folder, MARK)
    os.makedirs(where.folder, exist_ok=True)
    if not where.release.listed and not os.path.exists(mark):
        for path in (where.model_path, labels):
            if os.path.exists(path):
                shutil.copy2(path, path + KEPT + ".part")  # copied: a model stays in place if the disk is full now
                os.replace(path + KEPT + ".part", path + KEPT)
                yield "%s of jetson-inference is kept as %s" % (path, os.path.basename(path) + KEPT)
        disk.replace(mark, json.dumps({"description": AUTHOR, "kept": KEPT}).encode("utf-8"))
    for path in _stale(where, model):  # first: a crash leaves no engine beside a model that it is not of
        os.remove(path)
        yield "%s is removed" % path
    for path, data in ((labels, model.labels), (where.model_path, model.uff)):
        if _held(path) != data:
            disk.replace(path, data)
            yield "%s is written" % path
    if where.release.checked and _held(where.model_path + ".sha256sum") != _digest(model):
        disk.replace(where.model_path + ".sha256sum", _digest(model))
    if where.release.listed and listed["detection"].get(where.network) != _entry(where, model):
        listed["detection"][where.network] = _entry(where, model)
        disk.replace(where.models, json.dumps(listed, indent=4, ensure_ascii=False).encode("utf-8"))
        yield "%s has the entry %s" % (where.models, where.network)


def check(where: Place, model: DetectNetModel) -> List[str]:
    """What is wrong with an installed detector, a sentence each; empty if it is as it was installed."""
    wrong = []
    for path, wanted in ((where.model_path, model.uff), (os.path.join(where.folder, where.labels), model.labels)):
        held = _held(path)
        if held is None:
            wrong.append("there is no %s" % path)
        elif held != wanted:
            wrong.append("%s is not what was installed" % path)
    if not wrong and engines(where) & set(_stale(where, model)):
        wrong.append("an engine beside %s is older than it, so of another model" % where.model_path)
    noted = _held(where.model_path + ".sha256sum")
    if where.release.checked and (noted or b"").strip() != _digest(model):
        wrong.append("%s.sha256sum is not the model's: detectNet would build its engine again" % where.model_path)
    if where.release.listed and _listed(where)["detection"].get(where.network) != _entry(where, model):
        wrong.append("%s has no such entry %s" % (where.models, where.network))
    if os.path.isdir(where.folder) and not os.access(where.folder, os.W_OK):
        wrong.append("%s cannot be written: detectNet would build its engine at every start" % where.folder)
    return wrong


def commands(where: Place) -> List[str]:
    """Command lines that run the detector there, on a picture and on a camera."""
    network = "--network=%s" % where.network
    if where.release.single:
        return ["detectnet %s photo.jpg found.jpg" % network, "detectnet %s csi://0" % network]
    return ["detectnet-console photo.jpg found.jpg %s" % network, "detectnet-camera %s" % network]


def engine_names(where: Place, tensorrt: Optional[str]) -> List[str]:
    """The file names by which detectNet may keep its engine, for the Nano's FP16 and a batch of one.

    Args:
        tensorrt: version such as 8.2.1.8; None where there is none.
    """
    version = "*"
    if tensorrt:
        major, minor, patch = ([int(part) for part in re.findall(r"\d+", tensorrt)] + [0, 0, 0])[:3]
        version = "%d" % (major * 1000 + minor * 100 + patch)
    with_version, without = "%s.1.1.%s.GPU.FP16.engine" % (where.model, version), where.model + ".1.1.GPU.FP16.engine"
    return {True: [with_version], False: [without], None: [with_version, without]}[where.release.versioned]


def _check_name(where: Place) -> None:
    """detectNet compares names and aliases whatever their case, and takes the first that fits."""
    for key, entry in _listed(where)["detection"].items():
        held = entry if isinstance(entry, dict) else {}
        aliases = held.get("alias") or []
        known = [key, *([aliases] if isinstance(aliases, str) else aliases)]
        own = key == where.network and held.get("description") == AUTHOR
        if not own and where.network.lower() in [str(one).lower() for one in known]:
            raise BadInput(
                "jetson-inference knows %s as a network of its own; give the detector another name" % where.network
            )
        if not own and held.get("dir") == where.network:
            raise BadInput("The folder %s is the network %s's; give the detector another name" % (where.folder, key))


def _entry(where: Place, model: DetectNetModel) -> Dict[str, Any]:
    """The labels' name is the detector's own: detectNet looks for it in the current folder first."""
    return {
        "dir": where.network,
        "model": where.model,
        "labels": where.labels,
        "input": model.input,
        "input_dims": model.shape,
        "output": {"bbox": model.boxes_output, "count": model.count_output},
        "description": AUTHOR,
    }


def _listed(where: Place) -> Dict[str, Any]:
    try:
        listed = json.loads(files.read(where.models, LARGEST_JSON).decode("utf-8"))
        if not isinstance(listed, dict) or not isinstance(listed.get("detection"), dict):
            raise ValueError("it has no section detection")
    except (OSError, RecursionError, ValueError) as error:
        raise BadInput("%s cannot be read (%s); get it again from jetson-inference" % (where.models, error)) from error
    return listed


def _stale(where: Place, model: DetectNetModel) -> List[str]:
    """Engines and the like of another model: all where it changes, else those that are older than it."""
    if not os.path.isdir(where.folder):
        return []
    same = _held(where.model_path) == model.uff
    since = os.stat(where.model_path).st_mtime if same else float("inf")
    found = [
        os.path.join(where.folder, one)
        for one in sorted(os.listdir(where.folder))
        if one.startswith(where.model) and CACHES.match(one[len(where.model) :])
    ]
    return [path for path in found if os.lstat(path).st_mtime < since]


def engines(where: Place) -> Set[str]:
    """Paths of the engines that lie beside the model."""
    return {os.path.join(where.folder, one) for one in os.listdir(where.folder) if one.endswith(".engine")}


def _digest(model: DetectNetModel) -> bytes:
    return hashlib.sha256(model.uff).hexdigest().encode("ascii")


def _held(path: str) -> Optional[bytes]:
    try:
        return files.read(path)
    except OSError:
        return None
