"""What a viewer is to show, as a JSON file of the command's says; or a build folder, from which it is gathered."""

import json
import os
from typing import Any, Dict, List, NamedTuple, Tuple

from stages import files

FILE = "view.json"
MOST_BYTES = 1 << 24


class Description(NamedTuple):
    """What is to be shown.

    Attributes:
        title: for people.
        sources: (path, title) of what has pictures: a records artifact, TFRecord files or folders.
        runs: (folder, title) of what holds a ``detections.json`` about the first source.
        training: the folder of the training that runs, or that has ended; empty: none.
        build: the build folder whose artifacts are at /built/; empty: none.
        cache: where indexes are kept; empty: in a folder that goes with the server.
        names: further names and addresses that the server may be called by.
    """

    title: str
    sources: Tuple[Tuple[str, str], ...] = ()
    runs: Tuple[Tuple[str, str], ...] = ()
    training: str = ""
    build: str = ""
    cache: str = ""
    names: Tuple[str, ...] = ()


def description(place: str) -> Description:
    """What the file ``view.json`` in the folder says; of a folder without it, that is a build folder's."""
    path = os.path.join(place, FILE)
    if not os.path.isfile(path):
        return of_build(place)
    told: Dict[str, Any] = json.loads(files.read(path, MOST_BYTES).decode("utf-8", "surrogateescape"))
    pairs = {name: tuple((one[0], one[1]) for one in told.pop(name, ())) for name in ("sources", "runs")}
    return Description(names=tuple(told.pop("names", ())), **pairs, **told)


def of_build(build: str) -> Description:
    """The artifacts that a build folder's links lead to: records, and the detections on them."""
    records = os.path.join(build, "records")
    sources: List[Tuple[str, str]] = [(records, "records")] if os.path.isdir(records) else []
    runs = [
        (os.path.join(build, stage), stage)
        for stage in ("evaluate", "detect", "preview")
        if sources and os.path.isfile(os.path.join(build, stage, "detections.json"))
    ]
    return Description("Nanoforge", tuple(sources), tuple(runs), os.path.join(build, "train"), build)
