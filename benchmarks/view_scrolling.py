"""How fast the viewer's first page is on records of 100,000 pictures, and how smoothly its grid scrolls.

Usage, with the Python of the host's test environment; NANOFORGE_DATA_PYTHON is the data environment's:

PYTHONPATH=tests/browser python benchmarks/view_scrolling.py

Frames are counted by the browser's own requestAnimationFrame, without a graphics card; "work" is what the page's thread
does in a frame, of the 16.7 ms that there are at 60 frames/s. Both suffer from other load: measure on an idle machine.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from chromium import FLAGS
from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright
from view_server import ViewServer

FRAMES = 240
SPEEDS = {
    "a wheel turned slowly": 10,
    "a wheel turned fast": 40,
    "a page every 6 frames": 120,
    "the scroll bar dragged": 3000,
}
INDEXED_MS = 120000
SCROLL = """async ({pixels, frames}) => {
    const grid = document.getElementById("grid");
    const times = [];
    for (let frame = 0; frame <= frames; frame++) {
        times.push(await new Promise(requestAnimationFrame));
        grid.scrollTop += pixels;
    }
    return times.slice(1).map((time, index) => time - times[index]);
}"""
SHOWN = "() => document.querySelectorAll('.tile.loaded').length >= 12"


def metrics(session: CDPSession) -> Dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def first_page(page: Page, address: str) -> float:
    """Seconds until a dozen thumbnails are loaded, in a browser that has seen nothing of the page yet."""
    began = time.monotonic()
    page.goto(address)
    page.wait_for_function(SHOWN)
    return time.monotonic() - began


def scroll(page: Page, session: CDPSession, words: str, pixels: int) -> None:
    before = metrics(session)
    frames: List[float] = page.evaluate(SCROLL, {"pixels": pixels, "frames": FRAMES})
    after = metrics(session)
    work = (after["TaskDuration"] - before["TaskDuration"]) / FRAMES * 1000
    frames.sort()
    median, most = statistics.median(frames), frames[int(0.95 * len(frames))]
    print(f"{words}, {pixels} pixels a frame: {work:.1f} ms of work a frame,", end=" ")
    print(f"a frame every {median:.1f} ms, 95 % under {most:.1f} ms")
    page.wait_for_timeout(1000)


def measure(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    expect(page.locator("#counts")).to_contain_text("100,000 pictures, 100,000", timeout=INDEXED_MS)
    opened = [first_page(browser.new_context().new_page(), address) for _ in range(5)]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(f"first page: {statistics.median(opened):.2f} s (median of 5)")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    for words, pixels in SPEEDS.items():
        scroll(page, session, words, pixels)
    print("elements:", page.evaluate("document.querySelectorAll('*').length"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with ViewServer(Path(folder), "large") as server:
            measure(browser, server.address)
        browser.close()


if __name__ == "__main__":
    main()
