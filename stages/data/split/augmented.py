"""Which pictures are copies of one photo by the names that augmentation scripts give: ``a_aug_0.jpg``, ``a_hflip.jpg``.

What is flipped or rotated does not look like its photo, so that only the name tells. A name may also be chance:
``site_dark_1.jpg`` counts only where there is a ``site.jpg``, and ``site_aug_12.jpg`` may be of August.
"""

import re
from typing import Dict, Hashable, List, Optional

from stages.data.pairing.names import own_name

AUGMENTED = r"aug(?:mented|mentation)?"
CHANGED = (
    r"(?:h|v|lr|ud|horizontal|vertical)?[-_ ]?flip(?:ped|h|v|lr|ud)?|mirror(?:ed)?|rot(?:at(?:ed?|ion))?"
    r"|blur(?:red)?|nois[ey]|bright(?:er|ness)?|dark(?:er)?|contrast|gamma|hue|scaled?|shear|crop(?:ped)?"
)
NUMBER = r"[-_ ]?[0-9]{0,4}"
AFTER_SURE = re.compile(r"(?i)(.+?)[-_ .]%s%s$" % (AUGMENTED, NUMBER))
AFTER = re.compile(r"(?i)(.+)[-_ .](?:%s|%s)%s$" % (AUGMENTED, CHANGED, NUMBER))
BEFORE = re.compile(r"(?i)(?:%s|%s)%s[-_ .](.+)$" % (AUGMENTED, CHANGED, NUMBER))
MOST = 0.5  # share of the pictures that copies of one missing photo may be; more are no copies


def photos_of(photos: List[str]) -> List[Hashable]:
    """What stands for the photo that each picture is a copy of, or is itself; its own place if there are no copies.

    Copies lie where their photo does, or anywhere if only one photo has its name.
    """
    stems = [own_name(photo) for photo in photos]
    there: Dict[str, int] = {}
    for stem in stems:
        there[stem] = there.get(stem, 0) + 1
    bases = [_base(stem, there) for stem in stems]
    orphans: Dict[str, int] = {}
    for base in bases:
        if base and base not in there:
            orphans[base] = orphans.get(base, 0) + 1
    wanted = {base for base in bases if base and orphans.get(base, 0) <= MOST * len(photos)}
    keys: List[Hashable] = []
    for place, (photo, stem, base) in enumerate(zip(photos, stems, bases)):
        base = base or stem
        folder = "" if there.get(base) == 1 else photo.rpartition("/")[0]
        keys.append((folder, base) if base in wanted else place)
    return keys


def _base(stem: str, there: Dict[str, int]) -> Optional[str]:
    """The stem of the photo that a picture of this stem is a copy of; changes may be told one after the other."""
    seen = stem
    while True:
        changed = AFTER.match(seen) or BEFORE.match(seen)
        if not changed:
            break
        seen = changed.group(1)
        if seen in there:
            return _base(seen, there) or seen
    sure = AFTER_SURE.match(stem)
    return sure.group(1) if sure else None
