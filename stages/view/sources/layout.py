"""Which features of records hold what: by object_detection's keys, else by names of keys and looks of values."""

import re
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

from stages.view import pictures
from stages.view.sources.features import Blob, Features, Value

# What the edges of a box are called, without punctuation and plural.
EDGE_NAMES = {
    "xmin": ("xmin", "minx", "left", "x1", "x0"),
    "ymin": ("ymin", "miny", "top", "y1", "y0"),
    "xmax": ("xmax", "maxx", "right", "x2"),
    "ymax": ("ymax", "maxy", "bottom", "y2"),
}
CORNERS = tuple(EDGE_NAMES)
SIDES = {"xmin": ("x", "xmin", "left"), "ymin": ("y", "ymin", "top"), "xmax": ("w", "width"), "ymax": ("h", "height")}
FLAT = re.compile(r"(bbox|boxe|box|bboxe|roi|rect|rectangle)$")
NAMES = (
    "image/source_id",
    "image/filename",
    "filename",
    "image/id",
    "image_id",
    "source_id",
    "name",
    "path",
    "id",
    "key",
)
CHANNELS = ("channels", "channel", "depth")


class Layout(NamedTuple):
    """The keys of features, empty where there is none.

    Attributes:
        picture: the encoded picture, or the pixels as they are.
        names: what tells the picture's name; the first that says something counts.
        width, height, channels: the picture's size.
        boxes: four features of one edge each, in the order of ``CORNERS``; or one with four numbers a box.
        sided: the last two of the four are width and height.
        text, label: class names, class ids.
    """

    picture: str = ""
    names: Tuple[str, ...] = ()
    width: str = ""
    height: str = ""
    channels: str = ""
    boxes: Tuple[str, ...] = ()
    sided: bool = False
    text: str = ""
    label: str = ""
    difficult: str = ""
    truncated: str = ""


def layout(sample: Sequence[Features]) -> Layout:
    """The layout of records of which these are some."""
    keys = sorted({key for features in sample for key in features})
    boxes, sided = _box_keys(keys, sample)
    counts = [len(features.get(boxes[0], ())) // (4 if len(boxes) == 1 else 1) if boxes else 0 for features in sample]

    def beside(names: Sequence[str], fits: Callable[[Value], bool]) -> str:
        """The feature with one value for each box and a name that ends so; the first of ``names`` first."""
        for name in names:
            for key in keys:
                if key in boxes or not _plain(key).endswith(name):
                    continue
                if all(
                    len(one.get(key, ())) == count and all(map(fits, one.get(key, ())))
                    for one, count in zip(sample, counts)
                ):
                    return key
        return ""

    def single(names: Sequence[str]) -> str:
        """The feature of one whole number that is called so."""
        return next(
            (key for name in names for key in keys if _plain(key) == name and all(map(_is_whole, _first(sample, key)))),
            "",
        )

    return Layout(
        picture_key(sample),
        tuple(key for key in NAMES if key in keys),
        single(("width", "cols", "w")),
        single(("height", "row", "h")),
        single(("channel", "depth")),
        boxes,
        sided,
        beside(("text", "name", "class", "label", "category", "classe"), _is_text),
        beside(("label", "classid", "class", "categoryid", "category", "id", "classe"), _is_whole),
        beside(("difficult",), _is_whole),
        beside(("truncated",), _is_whole),
    )


def picture_key(sample: Sequence[Features]) -> str:
    """The feature with the picture: one that begins as picture files do, else one of as many bytes as pixels."""
    found = {
        key: features[key][0]
        for features in reversed(sample)
        for key in features
        if len(features[key]) == 1 and isinstance(features[key][0], (bytes, Blob))
    }
    encoded = [key for key, value in found.items() if pictures.format_of(_head(value))]
    raw = [key for key, value in found.items() if _size(value) >= 64 and re.search(r"image|img|raw|pixel", key.lower())]
    return min(encoded or raw, key=_strangeness, default="")


def _strangeness(key: str) -> Tuple[int, str]:
    """Sorts the likeliest keys of a picture first."""
    if key == "image/encoded":
        return 0, key
    if re.search(r"mask|seg|depth|label|instance|thumb|edge", key.lower()):
        return 3, key
    return (1 if re.search(r"encoded|image|img|jpe?g|png|picture|photo", key.lower()) else 2), key


def _box_keys(keys: Sequence[str], sample: Sequence[Features]) -> Tuple[Tuple[str, ...], bool]:
    """The features of boxes, and whether the last two are width and height."""
    numeric = [key for key in keys if all(map(_is_number, _first(sample, key)))]
    for names, sided in ((EDGE_NAMES, False), ({**SIDES}, True)):
        found = _families(numeric, names, sided)
        if found:
            return found, sided
    flat = [
        key
        for key in numeric
        if FLAT.search(_plain(key)) and all(len(one.get(key, ())) % 4 == 0 for one in sample)
        if any(one.get(key) for one in sample)
    ]
    return ((flat[0],) if flat else ()), False


def _families(keys: Sequence[str], names: Dict[str, Tuple[str, ...]], whole: bool) -> Tuple[str, ...]:
    """Four keys that differ only in the name of an edge; ``whole``: the last part of a key is nothing but that name."""
    families: Dict[str, Dict[str, str]] = {}
    for key in keys:
        last = _plain(key)
        for edge, words in names.items():
            for word in words:
                if last == word or (not whole and last.endswith(word) and len(word) > 2):
                    families.setdefault(key[: key.rfind("/") + 1] + last[: -len(word)], {}).setdefault(edge, key)
    whole_families = [
        (family, tuple(edges[one] for one in CORNERS)) for family, edges in families.items() if len(edges) == 4
    ]
    ranked = sorted(whole_families, key=lambda one: (not re.search(r"object|box", one[0].lower()), one[0]))
    boxes = [found for family, found in ranked if not whole or re.search(r"object|box|label|annot", family.lower())]
    return boxes[0] if boxes else ()


def _plain(key: str) -> str:
    """The last part of a key, without punctuation and plural: ``image/object/bbox/x_mins`` is ``xmin``."""
    plain = re.sub(r"[^a-z0-9]", "", re.split(r"[/.]", key.lower())[-1])
    return plain[:-1] if plain.endswith("s") and not plain.endswith("ss") else plain


def _first(sample: Sequence[Features], key: str) -> Sequence[Value]:
    return next((one[key] for one in sample if one.get(key)), [b""])


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float))


def _is_whole(value: Value) -> bool:
    return isinstance(value, int)


def _is_text(value: Value) -> bool:
    if not isinstance(value, bytes) or len(value) > 1000:
        return False
    return "\0" not in value.decode("utf-8", "surrogateescape")


def _head(value: Value) -> bytes:
    return value.head if isinstance(value, Blob) else value[:64] if isinstance(value, bytes) else b""


def _size(value: Value) -> int:
    return value.size if isinstance(value, Blob) else len(value) if isinstance(value, bytes) else 0
