"""What health.html shows: the figures of health.json, with drawings and small pictures."""

import os
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from stages.check import lookalikes, plots, suspicious
from stages.check.dataset import CheckedData
from stages.check.health import Examination
from stages.check.stored_pictures import Outline, thumbnail
from stages.check.verdicts import BAD, NOTE, WARN
from stages.pages.html import render

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
VIEWER = "http://127.0.0.1:8000"
MOST_HEAT_MAPS = 6  # classes, the most frequent
OTHER = 6  # the colour's number of the other box of a pair
WORDS = {BAD: "to mend", WARN: "to look at", NOTE: "to know"}


def page(data: CheckedData, examined: Examination) -> str:
    """The page as one HTML document.

    Raises:
        BadInput: a record is damaged.
    """
    health = examined.document
    values = {
        "health": health,
        "viewer": VIEWER,
        "words": WORDS,
        "proportions": "%d / %d" % _proportions(data)[::-1],
        "heat_maps": _heat_maps(data),
        "objects_plot": plots.objects_plot(health["objects_per_picture"]),
        "pictures_plot": plots.pictures_plot(data.pictures.sizes, health["model"]["input_size"]),
        **_anchor_plots(health, examined),
        "worst": _worst(data, examined),
        "cards": _cards(data, examined),
        "pairs": _pairs(data, examined),
        "alike_bits": lookalikes.ALIKE,
        "same_bits": lookalikes.SAME,
    }
    return render(TEMPLATES, "health", values)


def _proportions(data: CheckedData) -> Tuple[int, int]:
    """Height and width of the photo that is in the middle by its shape."""
    sizes = data.pictures.sizes
    middle = np.argsort(sizes[:, 0] / sizes[:, 1], kind="stable")[len(sizes) // 2]
    return int(sizes[middle, 1]), int(sizes[middle, 0])


def _heat_maps(data: CheckedData) -> List[Dict[str, Any]]:
    """Of all boxes, and where there are several classes of the most frequent ones."""
    boxes, classes = data.pictures.boxes, data.pictures.classes
    counts = np.bincount(classes, minlength=len(data.classes) + 1)[1:]
    chosen = [one for one in np.argsort(-counts, kind="stable")[:MOST_HEAT_MAPS].tolist() if counts[one]]
    some = [("all classes", boxes)]
    if len(data.classes) > 1:
        some += [(data.classes[one], boxes[classes == one + 1]) for one in chosen]
    maps = []
    for name, mine in some if len(boxes) else ():
        centres, covered = plots.heat_maps(mine, _proportions(data))
        maps.append({"name": name, "boxes": len(mine), "centres": centres, "covered": covered})
    return maps


def _anchor_plots(health: Dict[str, Any], examined: Examination) -> Dict[str, Optional[str]]:
    anchors, advice = health["anchors"], health["advice"]
    if not anchors or not anchors["boxes"]:
        return {"anchors_plot": None, "match_plot": None}
    sizes = np.unique(np.concatenate([layer["sizes"] for layer in anchors["layers"]]), axis=0)
    fitted = np.unique(np.concatenate(advice["sizes"]), axis=0) if advice and advice["worth"] else None
    return {
        "anchors_plot": plots.anchors_plot(examined.sides, sizes, fitted),
        "match_plot": plots.match_plot(anchors["histogram"], advice and advice["histogram"]),
    }


def _worst(data: CheckedData, examined: Examination) -> List[Dict[str, Any]]:
    told = examined.document["anchors"]["worst"] if examined.document["anchors"] else []
    return [{**one, "thumbnail": _drawn(data, box)} for one, box in zip(told, examined.worst)]


def _cards(data: CheckedData, examined: Examination) -> List[Dict[str, Any]]:
    """Every kind of suspicious boxes, with the boxes of it that are shown."""
    cards = []
    for figures, kind in zip(examined.document["suspicious"], examined.suspicions):
        shown = [
            {**figures["boxes"][place], "thumbnail": _drawn(data, int(kind.boxes[place]), int(kind.partners[place]))}
            for place in suspicious.to_show(kind, data.pictures)
        ]
        cards.append({**figures, "shown": shown})
    return cards


def _drawn(data: CheckedData, box: int, partner: int = -1) -> str:
    pictures = data.pictures
    outlines = [Outline(pictures.boxes[partner].tolist(), OTHER)] if partner >= 0 else []
    outlines.append(Outline(pictures.boxes[box].tolist(), 1))
    return thumbnail(data, int(pictures.owner[box]), outlines)


def _pairs(data: CheckedData, examined: Examination) -> List[Dict[str, Any]]:
    told = examined.document["lookalikes"]["pairs"]
    return [
        {**pair, "thumbnails": [thumbnail(data, place) for place in (first, second)]}
        for pair, (first, second, _) in zip(told, examined.alike.pairs)
    ]
