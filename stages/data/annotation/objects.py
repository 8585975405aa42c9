"""Which objects of an annotation go into the records: of a listed class, soundly boxed, large enough to learn from."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from stages.data.annotation import boxes
from stages.data.annotation.frame import BoxFrame
from stages.data.annotation.places import told_box
from stages.data.annotation.voc import VocObject
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.findings import Findings, did_you_mean
from stages.finding_kinds import KINDS

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
        self, vocabulary: Vocabulary, image_size: Tuple[int, int], frame: BoxFrame, file: str, findings: Findings
    ) -> None:
        self.vocabulary = vocabulary
        self.height, self.width = image_size
        self.frame, self.file, self.findings = frame, file, findings
        self.usable = True

    def kept(self, objects: List[VocObject], stray: Optional[str] = None) -> Optional[List[LabelledBox]]:
        """The usable ones of an XML's ``objects``, mended where the policies say so, in their order.

        Args:
            stray: what else in the XML places something, if there is no object (``Annotation.stray``).

        None: the picture cannot be used, because the place of an object of a listed class is not known, or because of
        another finding that is about the picture. All objects are looked at even so.
        """
        self.usable = True
        if not objects:
            message = "it has no <object>" + (", but %s outside of any" % stray if stray else "")
            self._fixes("no_objects", None, message, stray is None)
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
        return list(kept.values()) if self.usable else None

    def _class_id(self, source: VocObject) -> Optional[int]:
        if not source.name:
            self._fixes("no_class", source, "it has no <name>, or several that differ")
            return None
        class_id = self.vocabulary.id_of(source.name)
        if class_id is not None:
            return class_id
        near = self.vocabulary.nearly(source.name)
        message = "its class %r is not listed%s" % (source.name, did_you_mean(source.name, self.vocabulary.classes))
        mended = self._fixes("near_class" if near else "unknown_class", source, message.rstrip("."), len(near) == 1)
        return self.vocabulary.id_of(near[0]) if mended else None

    def _box(self, source: VocObject) -> Optional[boxes.Box]:
        """The box of an object on the upright picture, divided by its size; None if there is none to learn from."""
        box = source.box
        if not self._all_fixed(source) or box is None:
            return None
        if box[0] > box[2] or box[1] > box[3]:
            if not self._fixes("flipped_box", source, "its box %s has a minimum above its maximum" % told_box(box)):
                return None
            box = boxes.ordered(box)
        if not boxes.area(box):
            self._fixes("empty_box", source, "its box %s has no area" % told_box(box))
            return None
        box = self._inside(self.frame.place(box), source)
        return box and self._large_enough(boxes.scaled(box, self.frame.upright, (1, 1)), source)

    def _all_fixed(self, source: VocObject) -> bool:
        """Whether all that was noted while the object was read is mended."""
        return all([self._fixes(note.kind, source, note.message, note.fixable) for note in source.notes])

    def _inside(self, box: boxes.Box, source: VocObject) -> Optional[boxes.Box]:
        inside = boxes.clipped(box, self.frame.upright)
        if max(abs(edge - cut) for edge, cut in zip(box, inside)) < ROUNDING:
            return inside
        some = bool(boxes.area(inside))
        reaches = "reaches outside" if some else "lies outside"
        message = "its box %s %s the photo (%dx%d)" % ((told_box(box), reaches) + self.frame.upright)
        return inside if self._fixes("outside_box", source, message, some) else None

    def _large_enough(self, box: boxes.Box, source: VocObject) -> Optional[boxes.Box]:
        wide, high = (box[2] - box[0]) * self.width, (box[3] - box[1]) * self.height
        if min(wide, high) < SMALLEST:
            self._fixes("small_box", source, "its box is %.1f x %.1f pixels at training size" % (wide, high))
            return None
        return box

    def _fixes(self, kind: str, source: Optional[VocObject], message: str, fixable: bool = True) -> bool:
        """Whether a finding is mended; where it is not and concerns the picture, the picture cannot be used."""
        place = (source.number, source.line) if source else (None, None)
        fixed = self.findings.fixes(kind, self.file, message, place, fixable)
        if not fixed and KINDS[kind].about == "picture":
            self.usable = False
        return fixed
