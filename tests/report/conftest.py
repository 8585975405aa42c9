"""Artifacts to report on, and the report made of them in this process."""

import os
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import report_artifacts

from stages.job import Job
from stages.report.report import main


class Page(HTMLParser):
    """What a test asks of a page: its elements, its text, and the contents of its script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: List[Tuple[str, Dict[str, Any]]] = []
        self.words: List[str] = []
        self.raw = {"script": "", "style": ""}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: List[Tuple[str, Any]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> List[Dict[str, Any]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def attribute(self, name: str) -> List[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def sections(self) -> List[str]:
        return [attributes["id"] for attributes in self.all("section")]


@pytest.fixture(scope="session")
def whole_build(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """stage -> folder of a whole build, for tests that change nothing in it."""
    return report_artifacts.build(str(tmp_path_factory.mktemp("whole-build")))


@pytest.fixture
def artifacts(whole_build: Dict[str, str], tmp_path: Path) -> Dict[str, str]:
    """stage -> folder of a whole build that is the test's own."""
    return {stage: shutil.copytree(folder, str(tmp_path / stage)) for stage, folder in whole_build.items()}


def report_of(inputs: Dict[str, str], folder: Path, title: str = "Detector of cones") -> Page:
    """The report of some artifacts, made in this process in ``folder``."""
    output = folder / "output"
    output.mkdir(exist_ok=True)
    job = {
        "stage": "report",
        "inputs": inputs,
        "output": str(output),
        "scratch": str(folder),
        "parameters": {"title": title},
        "cpus": 1,
    }
    main(Job(job))
    assert os.listdir(str(output)) == ["report.html"]
    return Page((output / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., Page]:
    """Makes the report of some inputs."""
    return lambda inputs, **title: report_of(inputs, tmp_path, **title)


@pytest.fixture(scope="session")
def whole_page(whole_build: Dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of the whole build."""
    return report_of(whole_build, tmp_path_factory.mktemp("whole-page"), "Traffic cones")
