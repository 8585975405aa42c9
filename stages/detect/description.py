"""What ``model.json`` says of a detector: enough to feed its network and to read what comes out."""

import json
import os
from typing import Any, Dict, List, NamedTuple, Tuple

from stages import files
from stages.job import BadInput

FILE = "model.json"
LARGEST_JSON = 1 << 24  # bytes


class Description(NamedTuple):
    """A detector, as whoever runs it has to know it.

    Attributes:
        path: of the file that says so.
        classes: names by class id, 0 is the background.
        height, width: of the network's input, float32 [3, height, width].
        scale, offset: of ``pixel * scale + offset``, in float32.
        swapped: the network takes blue first.
        outputs: names of NMS_TRT's two, the rows and their number.
        nms: parameters of NMS_TRT, empty where the file holds none.
        unused: class ids that stand for no class, in order.
    """

    path: str
    classes: List[str]
    height: int
    width: int
    scale: float
    offset: float
    swapped: bool
    outputs: List[str]
    nms: Dict[str, Any]
    unused: Tuple[int, ...] = ()

    @property
    def named(self) -> List[str]:
        """The names of the classes that are some, the background's first."""
        return [name for class_id, name in enumerate(self.classes) if class_id not in self.unused]

    @property
    def shape(self) -> List[int]:
        """Of the network's input, [3, height, width]."""
        return [3, self.height, self.width]

    def of_pixels(self) -> "Description":
        """The same for a network that takes red, green and blue from 0 to 255, and scales them itself."""
        return self._replace(scale=1.0, offset=0.0, swapped=False)


def read(folder: str) -> Description:
    """The description in ``folder``, an artifact of convert or build-engine.

    Raises:
        BadInput: there is none, or it describes no detector.
    """
    path = os.path.join(folder, FILE)
    model = _read_json(path)
    try:
        channels, height, width = (int(size) for size in model["input"]["shape"])
        if channels != 3 or min(height, width) < 1:
            raise ValueError("its input has the shape %s" % [channels, height, width])
        return Description(
            path=path,
            classes=[str(name) for name in model["classes"]],
            height=height,
            width=width,
            scale=float(model["input"]["scale"]),
            offset=float(model["input"]["offset"]),
            swapped={"RGB": False, "BGR": True}[model["input"]["channels"]],
            outputs=[str(model["outputs"][name]) for name in ("detections", "count")],
            nms=dict(model.get("plugin", {}).get("NMS_TRT", {})),
            unused=tuple(int(class_id) for class_id in model.get("unused", [])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput("%s does not describe a model (%s); convert again" % (path, error)) from error


def _read_json(path: str) -> Any:
    try:
        return json.loads(files.read(path, LARGEST_JSON).decode("utf-8"))
    except OSError as error:
        raise BadInput(
            "%s cannot be read (%s); is this the folder that convert made?" % (path, error.strerror)
        ) from error
    except ValueError as error:
        raise BadInput("%s is not JSON (%s); convert again" % (path, error)) from error
