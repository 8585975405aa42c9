"""Where the viewer's page puts labels, computed by its own function in a real browser, over many random boxes."""

import random
from typing import Any, Dict, Iterator, List, Optional

import pytest
from playwright.sync_api import Browser, Page
from view_server import ViewServer

pytestmark = pytest.mark.browser
AREA = {"width": 900, "height": 600}
PLACE = """async ([boxes, sizes, area]) => {
    const labels = await import("/page/labels.js");
    return [labels.placeLabels(boxes, sizes, area), boxes.map(labels.isSmall)];
}"""
Rectangle = Dict[str, float]


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with ViewServer(tmp_path_factory.mktemp("labels"), "small") as server:
        opened = browser.new_page()
        opened.goto(server.address)
        yield opened
        opened.close()


def box(x: float, y: float, width: float, height: float) -> Rectangle:
    return {"x": x, "y": y, "width": width, "height": height}


def placed(page: Page, boxes: List[Rectangle], width: float = 80) -> List[Optional[Dict[str, Any]]]:
    sizes = [{"width": width, "height": 18}] * len(boxes)
    return page.evaluate(PLACE, [boxes, sizes, AREA])[0]  # type: ignore[no-any-return]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return (
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )


def inside(label: Rectangle) -> bool:
    ends = label["x"] + label["width"] <= AREA["width"] and label["y"] + label["height"] <= AREA["height"]
    return label["x"] >= 0 and label["y"] >= 0 and ends


def random_boxes(chance: random.Random) -> List[Rectangle]:
    """Boxes of all sizes, some of them over the edges."""
    found = []
    for _ in range(chance.randint(1, 40)):
        longest = chance.choice((20, 60, 500))
        width, height = chance.uniform(2, longest), chance.uniform(2, longest)
        found.append(box(chance.uniform(-width, AREA["width"]), chance.uniform(-height, AREA["height"]), width, height))
    return found


def visible(one: Rectangle) -> Optional[Rectangle]:
    x, y = max(0, one["x"]), max(0, one["y"])
    width = min(AREA["width"], one["x"] + one["width"]) - x
    height = min(AREA["height"], one["y"] + one["height"]) - y
    return box(x, y, width, height) if width > 0 and height > 0 else None


def test_a_label_stands_above_its_box(page: Page) -> None:
    for one in (box(100, 100, 300, 200), box(400, 300, 12, 9)):
        (label,) = placed(page, [one])
        assert label is not None
        assert (label["x"], label["y"] + label["height"], label["line"]) == (one["x"], one["y"], None)


def test_without_room_above_it_is_inside_a_large_box_and_below_or_beside_a_small_one(page: Page) -> None:
    (large,) = placed(page, [box(100, 4, 300, 200)])
    assert large is not None and (large["x"], large["y"]) == (100, 4)
    (small,) = placed(page, [box(100, 4, 20, 20)])
    assert small is not None and small["y"] == 24
    (whole,) = placed(page, [box(-50, -50, 1000, 700)])
    assert whole is not None and (whole["x"], whole["y"]) == (0, 0)


def test_a_box_out_of_sight_has_no_label(page: Page) -> None:
    assert placed(page, [box(-200, 10, 100, 100), box(10, 700, 50, 50)]) == [None, None]


def test_where_above_and_below_are_taken_a_line_leads_to_the_label(page: Page) -> None:
    crowd = [box(300 + 22 * column, 200 + 22 * row, 20, 20) for row in range(3) for column in range(8)]
    labels = placed(page, crowd, 60)
    lines = [(one, label) for one, label in zip(crowd, labels) if label is not None and label["line"]]
    assert lines
    for one, label in lines:
        x1, y1, x2, y2 = label["line"]
        assert one["x"] <= x1 <= one["x"] + one["width"] and one["y"] <= y1 <= one["y"] + one["height"]
        assert label["x"] <= x2 <= label["x"] + label["width"] and label["y"] <= y2 <= label["y"] + label["height"]


def test_no_label_covers_a_small_box_or_a_label_or_leaves_the_window(page: Page) -> None:
    chance = random.Random(7)
    shown = total = 0
    for _ in range(300):
        boxes = random_boxes(chance)
        seen = [visible(one) for one in boxes]
        sizes = [{"width": chance.uniform(30, 160), "height": 18} for _ in boxes]
        labels, _ = page.evaluate(PLACE, [boxes, sizes, AREA])
        small = page.evaluate(PLACE, [[one or box(0, 0, 99, 99) for one in seen], sizes, AREA])[1]
        found = [label for label in labels if label is not None]
        assert all(inside(label) for label in found)
        for number, label in enumerate(found):
            assert not any(overlap(label, one) for one, is_small in zip(seen, small) if one is not None and is_small)
            assert not any(overlap(label, other) for other in found[:number])
        shown += len(found)
        total += sum(one is not None for one in seen)
    assert shown / total > 0.9


def test_a_box_whose_top_is_free_has_its_label_there(page: Page) -> None:
    """Of boxes far from each other each has its label above it."""
    chance = random.Random(3)
    for _ in range(50):
        boxes = [
            box(20 + 220 * column, 60 + 180 * row, chance.uniform(4, 110), chance.uniform(4, 100))
            for row in range(3)
            for column in range(4)
        ]
        for one, label in zip(boxes, placed(page, boxes, 90)):
            assert label is not None and label["y"] + label["height"] == one["y"]
