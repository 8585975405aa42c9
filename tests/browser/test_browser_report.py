"""The report in a real browser: Debian's chromium, driven by playwright, from a file and without any network.

Runs in the host's test environment. The report is made by the data environment's Python, NANOFORGE_DATA_PYTHON.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("detection", "data", "training", "evaluation", "export", "audit", "conversion", "provenance")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FIRST_CARDS = 9

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    python = os.environ.get("NANOFORGE_DATA_PYTHON")
    if not python:
        pytest.fail("NANOFORGE_DATA_PYTHON must name the Python of the data environment, which makes the report.")
    root = tmp_path_factory.mktemp("report")
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    make_artifacts = ["tests/report/report_artifacts.py", str(root)]
    make_report = ["-m", "stages.report.report", str(root / "job.json")]
    for command in (make_artifacts, make_report):
        subprocess.run([python, *command], check=True, cwd=str(ROOT), env=environment, stdout=subprocess.DEVNULL)
    return (root / "output" / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("There is no chromium on PATH: install it with apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, report_url: str) -> Iterator[Callable[..., Page]]:
    """Opens the report; at the end of the test there must be no error, and no request but for the file itself."""
    troubles: List[str] = []
    requests: List[str] = []
    contexts = []

    def open_report(width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append("failed: " + request.url[:80]))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report_url)
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert not troubles
    assert {url for url in requests if not url.startswith("data:")} == {report_url}


def shown(page: Page) -> List[str]:
    return page.locator(".picture:visible figcaption > b").all_inner_texts()


def reads(page: Page, value: str) -> float:
    """The number that the page's own count of pictures starts with, once it ends with ``value``."""
    text = page.locator("#picture-count").inner_text()
    assert text.endswith(value)
    return float(text.split()[0])


def set_score(page: Page, value: str) -> None:
    page.locator("input[name=score]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def test_every_section_is_seen_and_every_picture_loads(open_page: Callable) -> None:
    page = open_page()
    for section in SECTIONS:
        assert page.locator("#" + section).is_visible()
    widths = page.eval_on_selector_all(".picture img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 36 and min(widths) > 0
    assert page.locator("svg.plot").count() == 3


def test_first_pictures_are_shown_and_the_button_shows_the_rest(open_page: Callable) -> None:
    page = open_page()
    assert len(shown(page)) == FIRST_CARDS
    page.get_by_role("button", name="Show all 36 pictures").click()
    assert len(shown(page)) == 36
    assert not page.locator("#show-all").is_visible()


def test_class_filter_keeps_pictures_of_that_class(open_page: Callable) -> None:
    page = open_page()
    page.select_option("select[name=name]", "mug")
    assert 0 < reads(page, "of 36 pictures") < 36
    for card in page.locator(".picture:visible").all():
        texts = card.locator("li:visible").all_inner_texts()
        assert texts and all("mug" in text for text in texts)


def test_score_filter_hides_weaker_detections(open_page: Callable) -> None:
    page = open_page()
    set_score(page, "0.9")
    assert page.locator("#score-value").inner_text() == "0.90"
    texts = page.locator(".picture:visible li:visible").all_inner_texts()
    scores = [float(match.group()) for match in (re.search(r"\d\.\d+", text) for text in texts) if match]
    assert scores and min(scores) >= 0.9
    assert reads(page, "of 36 pictures") < 36


def test_mistakes_filter_and_order(open_page: Callable) -> None:
    page = open_page()
    page.get_by_label("Mistakes only").check()
    texts = page.locator(".picture:visible li:visible").all_inner_texts()
    assert texts and all("false" in text or "missed" in text for text in texts)
    page.get_by_label("Mistakes only").uncheck()
    page.select_option("select[name=order]", "mistakes")
    counts = page.eval_on_selector_all(".picture", "cards => cards.map(card => Number(card.dataset.mistakes))")
    assert counts[0] > 0 and counts == sorted(counts, reverse=True)


def test_labelled_boxes_appear_when_asked_for(open_page: Callable) -> None:
    page = open_page()
    overlay = page.locator(".picture:visible svg").first
    assert not overlay.is_visible()
    page.get_by_label("Mark labelled boxes").check()
    assert overlay.is_visible()
    picture, drawn = page.locator(".picture:visible .enlarge:has(svg)").first.bounding_box(), overlay.bounding_box()
    assert drawn == pytest.approx(picture, abs=1)


def test_findings_filter(open_page: Callable) -> None:
    page = open_page()
    page.select_option("#finding-kind", "tiny_box")
    assert page.locator("[data-kind]:visible").count() == 1


def test_keyboard_reaches_and_enlarges_a_picture(open_page: Callable) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    button = page.locator(".enlarge").first
    before = button.bounding_box()["width"]
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert button.bounding_box()["width"] > 2 * before


def test_no_headline_figure_leaves_its_tile(open_page: Callable) -> None:
    for width in (320, 390, 1280):
        tiles = open_page(width).eval_on_selector_all(
            ".tiles b", "figures => figures.map(figure => figure.scrollWidth - figure.clientWidth)"
        )
        assert len(tiles) == 7 and max(tiles) <= 0


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_makes_a_phone_scroll_sideways(open_page: Callable, width: int) -> None:
    page = open_page(width, 844)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(open_page: Callable, scheme: str) -> None:
    """WCAG 2.1, success criterion 1.4.3: a contrast of at least 4.5."""
    page = open_page(color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    pairs = page.evaluate(TEXT_COLOURS)
    assert len(pairs) > 100
    weak = {(text, ink, ground) for text, ink, ground in pairs if contrast(rgb(ink), rgb(ground)) < 4.5}
    assert not weak
    page_colour = luminance(rgb(page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert page_colour < 0.05 if scheme == "dark" else page_colour > 0.8


def test_plots_follow_the_colour_scheme(open_page: Callable) -> None:
    def ink(scheme: str) -> float:
        text = open_page(color_scheme=scheme).locator("svg.plot text").first
        return luminance(rgb(text.evaluate("text => getComputedStyle(text).fill")))

    assert ink("light") < 0.1 and ink("dark") > 0.5


def test_paper_shows_everything_and_no_controls(open_page: Callable) -> None:
    page = open_page()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert len(shown(page)) == 36
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("nav").is_visible() and not page.locator("#picture-controls").is_visible()


def test_without_script_all_pictures_are_there_and_no_dead_controls(open_page: Callable) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator(".picture:visible").count() == 36
    assert not page.locator("#picture-controls").is_visible()


# [text, colour, colour behind it] of every element that holds text of its own.
TEXT_COLOURS = """() => {
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return Array.from(document.querySelectorAll('body *:not(option):not(script)'))
    .filter(one => one.offsetParent && Array.from(one.childNodes).some(node => node.nodeType === 3 && node.data.trim()))
    .map(one => [one.textContent.trim().slice(0, 40), getComputedStyle(one).color, behind(one)]);
}"""


def rgb(css: str) -> Tuple[float, ...]:
    return tuple(float(number) for number in re.findall(r"[\d.]+", css)[:3])


def luminance(colour: Tuple[float, ...]) -> float:
    """WCAG 2.1, relative luminance of an sRGB colour with channels 0 to 255."""
    values = [channel / 255 for channel in colour]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: Tuple[float, ...], b: Tuple[float, ...]) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
