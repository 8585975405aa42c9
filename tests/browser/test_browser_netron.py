"""A .uff of ours in Netron, by its own reader in a real browser.

The graph is made by the train environment's Python, NANOFORGE_TRAIN_PYTHON, and converted as users do.
"""

import collections
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import netron
import pytest
from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
MAKE_GRAPH = """
import sys
from ssd_graphs import ARCHITECTURES, build, pipeline
with open(sys.argv[1], "wb") as stream:
    stream.write(build(pipeline(**ARCHITECTURES["v1"]), True).SerializeToString())
"""
# Netron takes eval away from pages, and playwright reads pages by it.
KEEP_EVAL = "const kept = window.eval; Object.defineProperty(window, 'eval', {get: () => kept, set: () => {}})"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with graph.pb, model/model.uff and inspect.json."""
    made: Path = tmp_path_factory.mktemp("netron")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "convert")])
    graph, uff = str(made / "graph.pb"), str(made / "model" / "model.uff")
    command = [os.environ["NANOFORGE_TRAIN_PYTHON"], "-W", "ignore", "-c", MAKE_GRAPH, graph]
    subprocess.run(command, check=True, env=dict(os.environ, PYTHONPATH=paths), cwd=str(ROOT))
    _run("convert", "--graph", graph, "--out", str(made / "model"))
    (made / "inspect.json").write_text(_run("inspect", uff, "--json"))
    return made


def _run(*arguments: str) -> str:
    """What a command of the project prints for machines."""
    command = [str(ROOT / "run"), *arguments, "--runner", "local"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    """Netron with the .uff open; it reaches nothing but its own server."""
    host, port = netron.start(str(folder / "model" / "model.uff"), ("127.0.0.1", 0), browse=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        opened = browser.new_page()
        opened.add_init_script(KEEP_EVAL)
        opened.route("**/*", lambda route: _own(route, host))
        opened.goto("http://%s:%d" % (host, port))
        opened.get_by_role("button", name="Accept").click()
        opened.locator("#canvas .node").first.wait_for()
        yield opened
        browser.close()
    netron.stop((host, port))


def _own(route: Route, host: str) -> None:
    if route.request.url.startswith("http://%s:" % host):
        route.continue_()
    else:
        route.abort()


def _texts(page: Page, place: str) -> List[str]:
    return list(page.locator("#canvas %s" % place).all_text_contents())


def _shown(operations: Dict[str, int]) -> Dict[str, int]:
    """What Netron draws as a node: neither constants nor inputs and outputs."""
    return {name: count for name, count in operations.items() if name not in ("Const", "Input", "MarkOutput")}


def test_netron_shows_every_node(page: Page, folder: Path) -> None:
    listed = json.loads((folder / "inspect.json").read_text())["operations"]
    assert collections.Counter(_texts(page, ".node .node-item-type text")) == _shown(listed)


def test_netron_shows_input_and_output(page: Page) -> None:
    everything = _texts(page, ".node text")
    assert "Input" in everything and "MarkOutput_0" in everything
