"""What was built, as `view` serves it below /built/, in a real browser: the report works, and nothing else can be had.

Runs in the host's test environment. The report is made by the data environment's Python, NANOFORGE_DATA_PYTHON.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
from chromium import FOREIGN, ROOT
from playwright.sync_api import Browser, Page

DETECTOR = '[dataset]\nclasses = ["cat"]\nrendered_pictures = 20\n'

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose only artifact is a report, with a picture and an XML file that holds a script."""
    made: Path = tmp_path_factory.mktemp("report")
    project: Path = tmp_path_factory.mktemp("project")
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    for command in (
        ["tests/report/report_artifacts.py", str(made)],
        ["-m", "stages.report.report", str(made / "job.json")],
    ):
        python = os.environ["NANOFORGE_DATA_PYTHON"]
        subprocess.run([python, *command], check=True, cwd=str(ROOT), env=environment, stdout=subprocess.DEVNULL)
    artifact = project / "build" / "store" / "report" / "0123"
    shutil.copytree(str(made / "output"), str(artifact))
    shutil.copy(str(next(made.rglob("*.jpg"))), str(artifact / "picture.jpg"))
    script = '<script xmlns="http://www.w3.org/1999/xhtml">document.documentElement.id = "ran"</script>'
    (artifact / "script.xml").write_text("<annotation>%s</annotation>" % script)
    (artifact / "record.json").write_text("{}")
    (project / "build" / "report").symlink_to("store/report/0123")
    (project / "build" / "logs").mkdir()
    (project / "build" / "logs" / "train.log").write_text("secret")
    (project / "detector.toml").write_text(DETECTOR)
    return project


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """What the command says, without the slash at its end."""
    command = subprocess.Popen(
        [str(ROOT / "run"), "view", "--port", "0", "--runner", "local"],
        cwd=str(project),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    found = re.search(r"(http://127\.0\.0\.1:\d+)/", command.stderr.readline())
    assert found
    yield found.group(1)
    command.send_signal(signal.SIGTERM)
    assert command.wait(60) == 0


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def test_the_report_works_as_from_a_file(page: Page, address: str) -> None:
    troubles: List[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address + "/built/report/report.html")
    widths = page.eval_on_selector_all(".picture img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 36 and min(widths) > 0
    page.get_by_role("button", name="Show all 36 pictures").click()
    assert page.locator(".picture:visible").count() == 36
    assert [text for text in troubles if "favicon" not in text] == []


def test_from_the_first_page_one_gets_to_a_picture(page: Page, address: str) -> None:
    page.goto(address + "/built/")
    assert page.get_by_role("link").all_inner_texts() == ["report/"]
    page.get_by_role("link", name="report/").click()
    page.get_by_role("link", name="picture.jpg").click()
    page.wait_for_url("**/picture.jpg")
    assert page.evaluate("document.images[0].naturalWidth") > 0


def test_a_script_in_a_users_file_does_not_run(page: Page, address: str) -> None:
    page.goto(address + "/built/report/script.xml")
    assert page.evaluate("document.documentElement.tagName") == "annotation"
    assert page.evaluate("document.documentElement.id") == ""


def test_a_site_whose_name_points_here_sees_nothing(page: Page, address: str) -> None:
    for path in ("/", "/built/report/report.html"):
        answer = page.goto(address.replace("127.0.0.1", FOREIGN) + path)
        assert answer is not None and answer.status == 421
        assert page.locator(".picture").count() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/logs/train.log",
        "/built/logs/",
        "/built/logs/train.log",
        "/built/cache/",
        "/built/store/",
        "/built/report/../logs/train.log",
    ],
)
def test_what_is_no_artifact_cannot_be_reached(page: Page, address: str, path: str) -> None:
    answer = page.goto(address + path)
    assert answer is not None and answer.status == 404
    assert "secret" not in page.content()
