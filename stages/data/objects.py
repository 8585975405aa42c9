"""Which objects of an annotation go into the records: of a listed class, soundly boxed, large enough to learn from."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from stages.data import boxes
from stages.data.findings import Findings, did_you_mean
from stages.data.frame import BoxFrame
from stages.data.voc import VocObject

SMALLEST = 3.0  # pixels at training size
ROUNDING = 1e-6  # pixels of the photo: what scaling a box by a ratio of sizes may add


class LabelledBox(NamedTuple):
    """An object for the records: ``box`` on the upright picture, divided by its width and height: 0 to 1."""

    class_id: int
    box: boxes.Box
    source: VocObject


class ObjectFilter:
    """Decides object by object, by the policies of ``findings``; ``file`` is the XML that the findings name."""

    def __init__(
        self, classes: List[str], image_size: Tuple[int, int], frame: BoxFrame, file: str, findings: Findings
    ) -> None:
        self.ids = {name: number for number, name in enumerate(classes, 1)}
        self.height, self.width = image_size
        self.frame, self.file, self.findings = frame, file, findings

    def kept(self, objects: List[VocObject]) -> Optional[List[LabelledBox]]:
        """The usable ones of ``objects``, mended where the policies say so, in their order.

        None: the place of one is not known, so that the picture cannot be used.
        """
        kept: Dict[Tuple[int, boxes.Box], LabelledBox] = {}
        for source in objects:
            class_id = self._class_id(source)
            box = self._box(source) if class_id else None
            if class_id is None or box is None:
                continue
            if (class_id, box) in kept:
                self._fixes("duplicate_object", source, "it repeats object %d" % kept[class_id, box].source.number)
                continue
            kept[class_id, box] = LabelledBox(class_id, box, source)
        return list(kept.values())

    def _class_id(self, source: VocObject) -> Optional[int]:
        if source.name in self.ids:
            return self.ids[source.name]
        near = [name for name in self.ids if folded(name) == folded(source.name)]
        message = "its class %r is not listed%s" % (source.name, did_you_mean(source.name, self.ids))
        mended = self._fixes("unknown_class", source, message.rstrip("."), len(near) == 1)
        return self.ids[near[0]] if mended else None

    def _box(self, source: VocObject) -> Optional[boxes.Box]:
        box = source.box
        if box is None:
            self._fixes("no_box", source, "its <bndbox> has not got four numbers")
            return None
        if box[0] > box[2] or box[1] > box[3]:
            if not self._fixes("flipped_box", source, "its box %s has a minimum above its maximum" % _told(box)):
                return None
            box = boxes.ordered(box)
        if not boxes.area(box):
            self._fixes("empty_box", source, "its box %s has no area" % _told(box))
            return None
        box = self._inside(self.frame.place(box), source)
        return box and self._large_enough(boxes.scaled(box, self.frame.upright, (1, 1)), source)

    def _inside(self, box: boxes.Box, source: VocObject) -> Optional[boxes.Box]:
        inside = boxes.clipped(box, self.frame.upright)
        if max(abs(edge - cut) for edge, cut in zip(box, inside)) < ROUNDING:
            return inside
        message = "its box %s reaches outside the photo (%dx%d)" % ((_told(box),) + self.frame.upright)
        return inside if self._fixes("outside_box", source, message, bool(boxes.area(inside))) else None

    def _large_enough(self, box: boxes.Box, source: VocObject) -> Optional[boxes.Box]:
        wide, high = (box[2] - box[0]) * self.width, (box[3] - box[1]) * self.height
        if min(wide, high) < SMALLEST:
            self._fixes("small_box", source, "its box is %.1f x %.1f pixels at training size" % (wide, high))
            return None
        return box

    def _fixes(self, kind: str, source: VocObject, message: str, fixable: bool = True) -> bool:
        return self.findings.fixes(kind, self.file, message, (source.number, source.line), fixable)


def folded(name: str) -> str:
    """A class name without what people write differently: capitals, blanks at the ends, blanks for underscores."""
    return " ".join(name.replace("_", " ").casefold().split())


def _told(box: boxes.Box) -> str:
    return "(%s)" % ", ".join("%g" % edge for edge in box)
