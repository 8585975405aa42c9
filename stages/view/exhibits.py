"""What a viewer is to show, as a JSON file of the command's says; or a build folder, from which it is gathered."""

import json
import os
from typing import Any, Dict, NamedTuple, Tuple

from stages import files

MOST_BYTES = 1 << 24


class Named(NamedTuple):
    """Paths that were named together, and a title for people."""

    paths: Tuple[str, ...]
    title: str


class Exhibits(NamedTuple):
    """What is to be shown.

    Attributes:
        title: for people.
        sources: what has pictures, in this order.
        build: the build folder whose artifacts are at /built/, and whose runs and training are shown; empty: none.
        cache: where indexes are kept; empty: in a folder that goes with the server.
        names: further names and addresses that the server may be called by.
    """

    title: str
    sources: Tuple[Named, ...] = ()
    build: str = ""
    cache: str = ""
    names: Tuple[str, ...] = ()


def description(place: str) -> Exhibits:
    """What a file such as ``view.json`` says; of a folder, that it is a build folder, or holds pictures itself."""
    if os.path.isdir(place):
        return of_build(place) if _is_build(place) else Exhibits("Nanoforge", (Named((place,), "pictures"),))
    told: Dict[str, Any] = json.loads(files.read(place, MOST_BYTES).decode("utf-8"))
    sources = tuple(Named(tuple(one["paths"]), one["title"]) for one in told["sources"])
    return Exhibits(told["title"], sources, told["build"], told["cache"], tuple(told["names"]))


def of_build(build: str) -> Exhibits:
    """The records that a build folder's link leads to, with all that was made of them."""
    records = os.path.join(build, "records")
    return Exhibits("Nanoforge", (Named((records,), "records"),) if os.path.isdir(records) else (), build)


def _is_build(folder: str) -> bool:
    """Whether something in a folder is a link to an artifact."""
    return any(os.path.islink(os.path.join(folder, name)) for name in os.listdir(folder))
