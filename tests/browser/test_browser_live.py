"""Live detection's page in a real browser: the picture moves, figures are shown, an end and a stall told.

Runs in the host's test environment; the page is served by the data environment's Python, NANOFORGE_DATA_PYTHON.
"""

import os
import re
import subprocess
import time
from typing import Iterator, List

import pytest
from chromium import FOREIGN, ROOT
from playwright.sync_api import Browser, Page, expect

# The brightness of the middle of what the page shows.
BRIGHTNESS = """() => {
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    pen.drawImage(document.getElementById("picture"), 160, 90, 1, 1, 0, 0, 1, 1);
    return pen.getImageData(0, 0, 1, 1).data[0];
}"""

PATIENCE_S = 20
expect.set_options(timeout=1000 * PATIENCE_S)
pytestmark = pytest.mark.browser


class Served:
    """The page, served."""

    def __init__(self, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [os.environ["NANOFORGE_DATA_PYTHON"], "tests/browser/live_page.py", str(port)],
            cwd=str(ROOT),
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests" / "jetson")])),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    if made.process.poll() is None:
        made.end()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def moves(page: Page) -> bool:
    """Whether the picture becomes another and another; however slow the machine is, in time it does."""
    seen = set()
    ends = time.monotonic() + PATIENCE_S
    while len(seen) < 4 and time.monotonic() < ends:
        seen.add(page.evaluate(BRIGHTNESS))
        page.wait_for_timeout(50)
    return len(seen) == 4


def test_the_picture_moves_and_what_was_found_stands_beside_it(page: Page, served: Served) -> None:
    troubles: List[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(served.address)
    expect(page.locator("#status")).to_have_text("live")
    assert moves(page)
    expect(page.locator("#picture")).to_have_js_property("naturalWidth", 320)
    expect(page.locator("#fps")).to_have_text(re.compile(r"^\d+\.\d$"))
    expect(page.locator("#latency")).to_have_text(re.compile(r"^\d\d+$"))  # the network takes 10 ms
    expect(page.locator("#detections li")).to_have_text(["cone0.90"])
    assert page.locator("#detections rect").get_attribute("fill") == "#e69f00"
    assert page.locator("#source").inner_text() == "rtsp://***@cellar/<b>door</b>"
    for hidden in ("#cover", "#nothing"):
        expect(page.locator(hidden)).to_be_hidden()
    assert troubles == []


def test_three_browsers_see_it_at_once(browser: Browser, served: Served) -> None:
    contexts = [browser.new_context() for _ in range(3)]
    pages = [context.new_page() for context in contexts]
    for one in pages:
        one.goto(served.address)
        expect(one.locator("#status")).to_have_text("live")
    assert all(moves(one) for one in pages)
    for context in contexts:
        context.close()


def test_a_camera_that_stalls_is_told_and_its_return_too(page: Page, served: Served) -> None:
    page.goto(served.address)
    expect(page.locator("#status")).to_have_text("live")
    served.say("stall")
    expect(page.locator("#cover")).to_have_text("The camera gives no pictures at the moment")
    page.reload()
    expect(page.locator("#picture")).to_have_js_property("naturalWidth", 320)  # the last one, for who comes later
    served.say("go")
    expect(page.locator("#status")).to_have_text("live")
    expect(page.locator("#cover")).to_be_hidden()
    assert moves(page)


def test_an_end_is_told_and_the_next_run_shown(page: Page, served: Served) -> None:
    page.goto(served.address)
    expect(page.locator("#status")).to_have_text("live")
    assert served.end() == 0
    expect(page.locator("#cover")).to_contain_text("Detection has ended")
    again = Served(int(served.address.rstrip("/").rpartition(":")[2]))
    assert again.address == served.address
    expect(page.locator("#status")).to_have_text("live")
    assert moves(page)
    assert again.end() == 0


def test_it_fits_a_phone(browser: Browser, served: Served) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700})
    page = context.new_page()
    page.goto(served.address)
    expect(page.locator("#status")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    picture, list_ = page.locator("#picture").bounding_box(), page.locator("section").bounding_box()
    assert picture is not None and list_ is not None and list_["y"] > picture["y"] + picture["height"]
    context.close()


def test_a_site_whose_name_points_here_sees_nothing(page: Page, served: Served) -> None:
    for path in ("", "state", "stream"):
        answer = page.goto(served.address.replace("127.0.0.1", FOREIGN) + path)
        assert answer is not None and answer.status == 421
