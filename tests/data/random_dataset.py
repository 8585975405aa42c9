"""Random datasets as people have them, each with what must come out of it: ``make(seed, folder)``.

Every picture keeps its truth in pixels of the upright picture from the start; formats, EXIF, geometry, encodings and
names are then written so that they tell this truth, or break it in one known way (random_flaws.py).
"""

import unicodedata
from pathlib import Path
from random import Random
from typing import Any, Dict, List, NamedTuple, Tuple

from data_voc import PARAMETERS
from random_draft import ASTRAY, Draft
from random_flaws import FLAWS, FRAMED, framed
from random_layouts import LAYOUTS, Layout, roboflow, vocdevkit

CLASSES = ["cone", "ball", "traffic light", "라쿤"]
ALIASES = {"Kegel": "cone"}
# The same class in other words: an alias, and letters apart as macOS writes them. Both are read without a finding.
OTHER_WORDS = {"cone": "Kegel", "라쿤": unicodedata.normalize("NFD", "라쿤")}


class RandomDataset(NamedTuple):
    """A dataset on the disk; ``parameters`` are those of the stage that this dataset needs."""

    folder: Path
    layout: Layout
    drafts: List[Draft]
    parameters: Dict[str, Any]
    story: str

    @property
    def inputs(self) -> Dict[str, str]:
        """The inputs of the stage."""
        found = {"photos": self.folder / self.layout.photos, "annotations": self.folder / self.layout.annotations}
        if self.layout.source == "imagesets":
            found["image_sets"] = self.folder / self.layout.photos / "../ImageSets/Main"
        return {name: str(path.resolve()) for name, path in found.items()}

    def names(self, draft: Draft) -> Tuple[str, str]:
        """Photo and XML of a picture as the stage names them."""
        return _below(draft.photo, self.layout.photos), _below(draft.xml, self.layout.annotations)


def _below(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if folder else path


# What may be odd about a whole dataset, and the parameters that read it nevertheless.
ODDITIES = {
    "": {},
    "xywh": {"boxes": "xywh"},
    "relative": {"boxes": "relative"},
    "exchanged": {"sizes": "photo"},
}


def make(seed: int, folder: Path, odd: str = "") -> RandomDataset:
    """The dataset of a seed, written below ``folder``; one with an oddity has no other flaw."""
    rng = Random(seed)
    drafts = _drafts(rng, odd)
    lay_out = rng.choice(LAYOUTS)
    split = rng.choice(("auto", "auto", "hash"))
    if split == "hash" or lay_out not in (roboflow, vocdevkit):
        _forget(drafts, ("not_in_split", "leak"))
    layout = lay_out(rng, drafts)
    if split == "hash":
        layout = layout._replace(source="hash")
        for draft in drafts:
            draft.side = ""
    files = dict(layout.others)
    for draft in drafts:
        if rng.random() < 0.1:
            draft.xml = draft.xml.replace(".xml", ".XML")
        files.update(draft.files())
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    story = "seed %d: %s, split %s, flaws %s" % (
        seed,
        lay_out.__name__,
        split,
        ", ".join("%s: %s" % (draft.photo, draft.flaw) for draft in drafts if draft.flaw),
    )
    parameters = dict(PARAMETERS, classes=CLASSES, aliases=ALIASES, image_size=[32, 48], split=split)
    return RandomDataset(folder, layout, drafts, dict(parameters, **ODDITIES[odd]), story)


def _forget(drafts: List[Draft], flaws: Tuple[str, ...]) -> None:
    for draft in drafts:
        draft.flaw = "" if draft.flaw in flaws else draft.flaw


def _drafts(rng: Random, odd: str) -> List[Draft]:
    """The first one has an object of every class, so that each is left to learn from; the first two have no flaw."""
    drafts = [Draft(rng, 0, CLASSES)]
    drafts += [Draft(rng, n, rng.choices(CLASSES, k=rng.randint(1, 3))) for n in range(1, rng.randint(6, 12))]
    names = [] if odd else [*FLAWS, *ASTRAY, *ASTRAY]
    flaws = rng.sample(names, min(len(names), rng.randint(1, len(drafts) - 3)))
    if "no_xml" in flaws and "no_photo" in flaws:
        flaws.remove("no_photo")  # of one name in two folders, they would seem to be a pair
    for draft in drafts:
        if odd == "exchanged":
            draft.writing.size = draft.size[::-1]
        elif odd:
            draft.writing.boxes = odd
        for thing in draft.things:
            if rng.random() < 0.2:
                thing.name = OTHER_WORDS.get(thing.meaning, thing.name)
        if draft.number > 1 and flaws:
            _flaw(rng, draft, flaws.pop())
        if draft.number and odd != "exchanged" and (not draft.flaw or draft.flaw.split("+")[0] in FRAMED):
            framed(rng, draft)
    return drafts


def _flaw(rng: Random, draft: Draft, flaw: str) -> None:
    """Give the picture a flaw, and sometimes one more object with another."""
    draft.flaw = flaw
    if flaw in FLAWS:
        FLAWS[flaw](rng, draft)
    if flaw in FRAMED and rng.random() < 0.3:
        another = rng.choice(FRAMED)
        if another == flaw:
            return  # two objects in the same odd place would be one and its repetition
        draft.things.append(draft.thing(rng, rng.choice(CLASSES)))
        FLAWS[another](rng, draft)
        draft.flaw += "+" + another
