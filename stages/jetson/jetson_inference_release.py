"""Which jetson-inference a folder belongs to, and what its detectNet can do, as its sources say.

A board may hold any commit, built by hand, so features are looked for, not branches by their names:

============  ==========================================  ================================================
since         feature                                     branches for the Nano
============  ==========================================  ================================================
July 2019     SSD models as .uff, by built-in names       L4T-R32.2 and later (not L4T-R32.1)
May 2020      TensorRT's version in the engine's name     L4T-R32.4.2 and later
July 2020     one program ``detectnet``                   L4T-R32.4.3 and later
August 2022   the engine counts with a checksum only      master
Dec. 2022     models of ``models.json``                   master
============  ==========================================  ================================================

Sources: dusty-nv/jetson-inference, c/detectNet.cpp, c/tensorNet.cpp, c/modelDownloader.cpp and examples of these.
"""

import os
from typing import NamedTuple, Optional

from stages import files
from stages.job import BadInput

MODELS = "models.json"
SLOT, SLOT_LABELS = "SSD-Mobilenet-v2", "ssd_coco_labels.txt"
LARGEST_SOURCE = 1 << 22  # bytes
_SLOT_PATH, _LISTED, _VERSIONED, _CHECKED = (
    "SSD-Mobilenet-v2/ssd_mobilenet_v2_coco.uff",
    '"input_dims"',
    '"%s.%u.%u.%i.%s.%s"',
    "sha256sum",
)
GET = "get the branch master of dusty-nv/jetson-inference, or L4T-R32.7.1, and build it"


class InferenceRelease(NamedTuple):
    """What the detectNet that reads a folder of networks does.

    Attributes:
        networks: the folder, links resolved.
        listed: it reads models.json; else it knows its own models only.
        versioned: the engine's name has TensorRT's version in it; None where that cannot be told.
        checked: it takes an engine only with the model's ``.sha256sum`` beside it.
        single: the program is ``detectnet``; else ``detectnet-console`` and ``detectnet-camera``.
    """

    networks: str
    listed: bool
    versioned: Optional[bool]
    checked: bool
    single: bool


def find(folder: str) -> InferenceRelease:
    """The release in ``folder``: a clone of jetson-inference, or its folder of networks.

    Raises:
        BadInput: it is neither, or a release that cannot load a .uff of ours.
    """
    if not os.path.isdir(folder):
        raise BadInput(
            "There is no jetson-inference in %s; name its clone, or /usr/local/bin/networks, or %s" % (folder, GET)
        )
    inside = os.path.join(folder, "data", "networks")
    networks = os.path.realpath(inside if os.path.isdir(inside) else folder)
    root = os.path.dirname(os.path.dirname(networks))
    detect = _source(root, "detectNet.cpp") if os.path.basename(networks) == "networks" else ""
    return _of_sources(networks, root, detect) if detect else _of_files(networks, folder)


def _of_sources(networks: str, root: str, detect: str) -> InferenceRelease:
    listed, network = _LISTED in detect, _source(root, "tensorNet.cpp")
    if not listed and _SLOT_PATH not in detect:
        raise BadInput("%s is of a release that loads no .uff (older than July 2019, or unknown); %s" % (root, GET))
    if listed and not os.path.isfile(os.path.join(networks, MODELS)):
        raise BadInput("%s lacks %s, which this release reads; get it again (git checkout)" % (networks, MODELS))
    single = os.path.isdir(os.path.join(root, "examples", "detectnet"))
    return InferenceRelease(networks, listed, _VERSIONED in network, _CHECKED in network, single)


def _of_files(networks: str, folder: str) -> InferenceRelease:
    """Without sources, as in an image that kept only what was built."""
    if os.path.isfile(os.path.join(networks, MODELS)):
        return InferenceRelease(networks, True, True, True, True)
    if os.path.isdir(os.path.join(networks, SLOT)) or os.path.isfile(os.path.join(networks, SLOT_LABELS)):
        beside = os.path.join(os.path.dirname(os.path.abspath(folder)), "detectnet-console")
        return InferenceRelease(networks, False, None, False, not os.path.exists(beside))
    raise BadInput(
        "%s is neither a clone of jetson-inference nor its folder of networks (/usr/local/bin/networks)" % folder
    )


def _source(root: str, name: str) -> str:
    """The text of a C++ source, in ``c/`` since July 2019; empty where there is none."""
    for path in (os.path.join(root, "c", name), os.path.join(root, name)):
        if os.path.isfile(path):
            return files.read(path, LARGEST_SOURCE).decode("utf-8", "replace")
    return ""
