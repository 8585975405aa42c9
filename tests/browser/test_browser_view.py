"""The viewer's page in a real browser: what is shown, selected, linked and reached by keys.

Runs in the host's test environment. Records are made, and the page is served, by the data environment's Python,
NANOFORGE_DATA_PYTHON. How labels are placed, and 100,000 pictures: test_browser_view_labels.py and
test_browser_view_many.py.
"""

import json
import re
from pathlib import Path
from typing import Iterator, List

import pytest
from playwright.sync_api import Browser, Page, expect
from view_server import ViewServer

HOSTILE = "<img src=x onerror=window.pwned=1>"
PATIENCE_MS = 20000
expect.set_options(timeout=PATIENCE_MS)
pytestmark = pytest.mark.browser

# Whether anything is drawn on a canvas; read from a copy, as the browser complains of a canvas that is read often.
INKED = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0);
}"""
SEEN = (
    """() => [...document.querySelectorAll(".tile:not([hidden])")].map(tile => tile.querySelector("b").textContent)"""
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewServer]:
    with ViewServer(tmp_path_factory.mktemp("view"), "small") as server:
        yield server


@pytest.fixture
def troubles() -> List[str]:
    """What a page complains of, and what it asks of other sites."""
    return []


@pytest.fixture
def page(browser: Browser, served: ViewServer, troubles: List[str]) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800}, base_url=served.address)
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda request: None if served.address in request.url else troubles.append(request.url))
    yield opened
    assert opened.evaluate("window.pwned") is None
    opened.close()


def names(page: Page) -> List[str]:
    return sorted(page.evaluate(SEEN))


def counts(page: Page, text: str) -> None:
    expect(page.locator("#counts")).to_have_text(text)


def wait_for_evaluation(page: Page) -> None:
    """Its detections are matched in the background once the server runs."""
    page.goto("/")
    for _ in range(100):
        if page.locator("#run option").count() > 1:
            return
        page.wait_for_timeout(100)
        page.reload()
        expect(page.locator("#counts")).not_to_be_empty()
    raise AssertionError("the evaluation never became selectable")


def open_picture(page: Page, part: str, query: str = "") -> None:
    page.goto("/?name=%s%s" % (part, query))
    page.locator(".tile:visible a").first.click()
    expect(page.locator("#picture-name")).to_contain_text(part)


def test_the_grid_shows_pictures_with_their_boxes(page: Page, troubles: List[str]) -> None:
    page.goto("/")
    counts(page, "60 pictures, 91 boxes")
    first = page.locator(".tile:visible").first
    expect(first.locator("img")).to_have_js_property("complete", True)
    page.wait_for_function("() => document.querySelectorAll('.tile.loaded').length > 10")
    assert page.locator(".tile.broken").count() == 0
    tile = page.locator(".tile:visible:has(small:not(:text('empty')))").first
    assert tile.locator("canvas").evaluate(INKED)
    assert re.match(r".+: \d .+; (train|validation)", tile.locator("a").get_attribute("aria-label") or "")
    assert troubles == []


def test_filters_change_the_address_and_the_address_the_filters(page: Page) -> None:
    page.goto("/")
    counts(page, "60 pictures, 91 boxes")
    page.get_by_role("checkbox", name="traffic light").check()
    counts(page, "24 of 60 pictures, 55 boxes")
    page.locator("#flags").get_by_label("with a truncated box").check()
    expect(page).to_have_url(re.compile(r"/\?class=traffic\+light&truncated=1$"))
    narrowed = page.locator("#counts").inner_text()
    page.go_back()
    counts(page, "24 of 60 pictures, 55 boxes")
    expect(page.get_by_label("with a truncated box")).not_to_be_checked()
    page.go_forward()
    counts(page, narrowed)
    page.reload()
    counts(page, narrowed)
    expect(page.get_by_role("checkbox", name="traffic light")).to_be_checked()
    page.get_by_role("button", name="Clear").click()
    counts(page, "60 pictures, 91 boxes")
    expect(page).to_have_url(re.compile(r"/$"))


def test_split_finding_emptiness_and_name_select(page: Page) -> None:
    page.goto("/?split=validation")
    expect(page.get_by_role("checkbox", name="validation")).to_be_checked()
    expect(page.locator("#counts")).to_have_text(re.compile(r"^\d\d of 60 pictures"))
    page.goto("/?finding=outside_box")
    counts(page, "1 of 60 pictures, 3 boxes")
    assert names(page) == ["photo-03.jpg"]
    page.goto("/")
    page.get_by_role("checkbox", name="without boxes").check()
    counts(page, "6 of 60 pictures, 0 boxes")
    page.get_by_role("button", name="Clear").click()
    page.keyboard.press("/")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("PHOTO-5", delay=20)
    counts(page, "10 of 60 pictures, 15 boxes")
    assert names(page) == ["photo-5%d.jpg" % number for number in range(10)]
    page.go_back()  # one step for all that was typed
    counts(page, "60 pictures, 91 boxes")


def test_a_selection_that_no_picture_has_says_so(page: Page) -> None:
    page.goto("/?name=nowhere")
    expect(page.locator("#nothing")).to_have_text("No picture is so")
    page.goto("/?boxes_min=many")
    expect(page.locator("#nothing")).to_contain_text("boxes_min")


def test_the_selection_can_be_saved_as_a_list(page: Page) -> None:
    page.goto("/?name=photo-5&sort=name")
    counts(page, "10 of 60 pictures, 15 boxes")
    with page.expect_download() as saved:
        page.get_by_role("link", name="txt").click()
    listed = Path(saved.value.path()).read_text().split()
    assert listed == ["photo-5%d.jpg" % number for number in range(10)]


def test_a_picture_has_a_link_that_lasts(page: Page, troubles: List[str]) -> None:
    page.goto("/?class=traffic+light&sort=name")
    page.locator(".tile:visible", has_text="photo-03.jpg").click()
    expect(page.locator("#picture-name")).to_have_text("photo-03.jpg")
    link = page.url
    expect(page.locator("#place")).to_have_text("3 of 24")
    expect(page.locator("#boxes li")).to_have_count(3)
    expect(page.locator("#boxes")).to_contain_text("14 × 20")
    expect(page.locator("#picture-findings")).to_contain_text("reaches outside the photo")
    page.go_back()
    expect(page.locator("#single")).to_be_hidden()
    page.goto(link)
    expect(page.locator("#picture-name")).to_have_text("photo-03.jpg")
    expect(page.locator(".pane img").first).to_have_js_property("naturalWidth", 320)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#picture-name")).to_have_text("photo-05.jpg")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?class=traffic\+light&sort=name$"))
    expect(page.locator("a:focus")).to_contain_text("photo-05.jpg")
    assert troubles == []


def test_a_link_to_no_picture_says_so(page: Page) -> None:
    page.goto("/picture/0123456789abcdef")
    expect(page.locator("#problem")).to_contain_text("no picture")
    page.keyboard.press("Escape")
    counts(page, "60 pictures, 91 boxes")


def test_hostile_names_are_text(page: Page) -> None:
    open_picture(page, HOSTILE)
    expect(page.locator("#boxes b", has_text=HOSTILE)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#classes span", has_text=HOSTILE)).to_have_text(HOSTILE)
    page.locator("#classes label", has_text=HOSTILE).locator("input").check()
    expect(page.locator("#counts")).to_have_text(re.compile(r"^1 of 60"))
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_keys_lead_everywhere(page: Page) -> None:
    page.goto("/?sort=name")
    counts(page, "60 pictures, 91 boxes")
    page.keyboard.press("Home")
    expect(page.locator("a:focus")).to_contain_text(HOSTILE)
    page.keyboard.press("j")
    expect(page.locator("a:focus")).to_contain_text("photo-00.jpg")
    page.keyboard.press("ArrowDown")
    second_row = page.locator("a:focus").inner_text()
    page.keyboard.press("ArrowUp")
    expect(page.locator("a:focus")).to_contain_text("photo-00.jpg")
    page.keyboard.press("ArrowUp")  # nowhere
    expect(page.locator("a:focus")).to_contain_text("photo-00.jpg")
    assert "photo-0" in second_row and "photo-00" not in second_row
    page.keyboard.press("End")
    expect(page.locator("a:focus")).to_contain_text("photo-59.jpg")
    expect(page.locator("a:focus")).to_be_in_viewport()
    page.keyboard.press("PageUp")
    expect(page.locator("a:focus")).not_to_contain_text("photo-59.jpg")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#picture-name")).to_have_text("photo-59.jpg")
    page.keyboard.press("k")
    expect(page.locator("#picture-name")).to_have_text("photo-58.jpg")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#single")).to_be_visible()


def test_truth_and_detections_are_told_apart_by_more_than_colour(page: Page, troubles: List[str]) -> None:
    wait_for_evaluation(page)
    page.locator("#run").select_option(index=1)
    expect(page).to_have_url(re.compile("run="))
    run = page.url.split("run=")[1]
    open_picture(page, "photo-12", "&run=" + run)
    rows = page.locator("#boxes li")
    expect(rows).to_have_text(
        [
            re.compile("cone.*truth"),
            re.compile("onerror.*missed"),
            re.compile("cone.*detection · 0.90"),
            re.compile("false detection · 0.60"),
        ]
    )
    expect(page.locator("#legend")).to_be_visible()
    page.locator("#threshold").fill("0.7")
    expect(rows).to_have_count(3)
    page.locator("#threshold").fill("0.95")
    expect(rows).to_have_text([re.compile("cone.*missed"), re.compile("onerror.*missed")])
    page.locator("#single").focus()
    expect(page.locator(".pane:visible")).to_have_count(1)
    page.keyboard.press("b")
    expect(page.locator(".pane:visible")).to_have_count(2)
    for pane in page.locator(".pane").all():
        expect(pane.locator("img")).to_have_js_property("naturalWidth", 320)
    page.keyboard.press("b")
    inked = page.locator(".pane canvas").first
    assert inked.evaluate(INKED)
    page.keyboard.press("t")
    page.wait_for_function("() => document.getElementById('show-truth').getAttribute('aria-pressed') === 'false'")
    page.wait_for_timeout(100)
    assert not inked.evaluate(INKED)  # no detection has 0.95
    assert troubles == []


def test_the_worst_come_first(page: Page) -> None:
    wait_for_evaluation(page)
    expect(page.locator("#sort option[value=worst]")).to_be_disabled()
    page.locator("#run").select_option(index=1)
    page.locator("#sort").select_option("worst")
    expect(page).to_have_url(re.compile("sort=worst"))
    expect(page.locator(".tile:visible small").first).to_contain_text("wrong")


def test_zoom_and_pan_move_the_picture_under_the_pointer(page: Page) -> None:
    open_picture(page, "photo-12")
    image = page.locator(".pane img").first
    expect(image).to_have_js_property("naturalWidth", 320)
    stage = page.locator("#stage").bounding_box()
    before = image.bounding_box()
    assert stage is not None and before is not None
    x, y = before["x"] + before["width"] / 4, before["y"] + before["height"] / 4
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "width => document.querySelector('.pane img').getBoundingClientRect().width > width", arg=before["width"]
    )
    after = image.bounding_box()
    assert after is not None
    assert (x - after["x"]) / after["width"] == pytest.approx(0.25, abs=0.01)
    page.mouse.down()
    page.mouse.move(x + 50, y + 30, steps=3)
    page.mouse.up()
    page.wait_for_function(
        "left => Math.abs(document.querySelector('.pane img').getBoundingClientRect().left - left) < 1",
        arg=after["x"] + 50,
    )
    page.keyboard.press("0")
    page.wait_for_function(
        "width => Math.abs(document.querySelector('.pane img').getBoundingClientRect().width - width) < 1",
        arg=before["width"],
    )
    page.keyboard.press("+")
    page.wait_for_function(
        "width => document.querySelector('.pane img').getBoundingClientRect().width > width * 1.2", arg=before["width"]
    )


def test_dark_and_light_are_the_readers_choice(browser: Browser, served: ViewServer) -> None:
    brightness = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme, base_url=served.address)
        page.goto("/")
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness.append(sum(map(int, re.findall(r"\d+", color)[:3])))
        page.close()
    assert brightness[0] > 600 > 150 > brightness[1]


def test_it_fits_a_phone(browser: Browser, served: ViewServer) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True, base_url=served.address)
    page.goto("/")
    counts(page, "60 pictures, 91 boxes")
    tiles = page.locator(".tile:visible")
    first, second = tiles.nth(0).bounding_box(), tiles.nth(1).bounding_box()
    assert first is not None and second is not None and first["y"] == second["y"]
    expect(page.locator("#filters")).to_be_hidden()
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("checkbox", name="without boxes").check()
    page.get_by_role("button", name="Done").click()
    counts(page, "6 of 60 pictures, 0 boxes")
    page.locator(".tile:visible a").first.click()
    expect(page.locator("#picture-name")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    stage, about = page.locator("#stage").bounding_box(), page.locator("#single aside").bounding_box()
    assert stage is not None and about is not None and about["y"] >= stage["y"] + stage["height"] - 1
    page.close()


def test_a_server_that_is_gone_is_told_and_its_return_too(browser: Browser, served: ViewServer) -> None:
    page = browser.new_page(base_url=served.address)
    page.goto("/")
    counts(page, "60 pictures, 91 boxes")
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_role("checkbox", name="traffic light").check()
    expect(page.locator("#away")).to_be_visible()
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#away")).to_be_hidden()
    counts(page, "24 of 60 pictures, 55 boxes")
    page.close()


def test_progress_warnings_and_a_training_are_told(page: Page) -> None:
    """As the server tells them: the answers are changed on their way."""
    told = {"done": 20, "total": 60}

    def dataset(route):  # type: ignore[no-untyped-def]
        body = route.fetch().json()
        body.update(
            indexing=dict(told) if told["done"] < 60 else None, warnings=["<b>boxes</b> are read as y, x"], live=True
        )
        route.fulfill(json=body)

    points = [{"step": step, "loss": 8 / step} for step in range(1, 100)]
    live = {"running": True, "step": 1200, "steps": 6000, "points": points, "evaluations": [{"step": 600, "mAP": 0.5}]}
    live["runs"] = [
        {"id": "new", "title": "evaluation of step 1200", "threshold": 0.3, "source": "records", "mAP": 0.7}
    ]
    page.route("**/api/dataset", dataset)
    page.route("**/api/live", lambda route: route.fulfill(body=json.dumps(live), content_type="application/json"))
    page.goto("/")
    expect(page.locator("#indexing-words")).to_have_text("Reading: 20 of 60 pictures")
    told["done"] = 60
    expect(page.locator("#indexing")).to_be_hidden()
    expect(page.locator("#warnings span")).to_have_text(["<b>boxes</b> are read as y, x"])
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#warnings li")).to_have_count(0)
    expect(page.locator("#live-step")).to_have_text("step 1,200 of 6,000")
    assert len(page.locator("#live-loss-chart .curve").get_attribute("d") or "") > 500
    expect(page.locator("#run")).to_contain_text("evaluation of step 1200, mAP 0.700")
