"""Odd names: of photos, of folders of photos, of the project's folder, of classes and of media."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import unicodedata
from pathlib import Path
from typing import List

import judge
from tally import Draw, Tally
from world import World

DONE = (
    "names with blanks, quotes, line ends, dashes in front, colons, commas, brackets, markup, percent signs, `~`,"
    " emoji, bytes that are no UTF-8, cp949, both normal forms of one word and 200 letters: as photos, folders of"
    " photos, media, the project's folder and a class; through records, status, detect, report and gc"
)
JUDGED = (
    "every picture is in the records or told by its name, exit code 0 (a class that cannot be: 2, naming it), no "
    "traceback"
)
NAMES = {
    "blanks": b" a  b ",
    "quotes": b'it\'s "so" `x`',
    "line end": b"a\nb",
    "carriage return": b"a\rb",
    "tab": b"a\tb",
    "dash": b"-rf",
    "two dashes": b"--help",
    "colon": b"a:b",
    "comma": b"a,b",
    "semicolon": b"a;b&c|d",
    "dollar": b"$HOME ${x} $(x)",
    "backslash": b"a\\b\\n",
    "markup": b"[red]x[bold] [link=y] [0]",
    "html": b"<b>&amp;<script>",
    "percent": b"%s %d %20 %",
    "braces": b"{0} {x} {{",
    "stars": b"*?[a-z]",
    "hash": b"#x = 1",
    "tilde": b"~root",
    "equals": b"a=b",
    "no UTF-8": b"\xff\xfe\x80 photo",
    "cp949": "\uac1c\uc640 \uace0\uc591\uc774".encode("cp949"),
    "Korean": "\uac1c\uc640 \uace0\uc591\uc774".encode(),
    "composed": unicodedata.normalize("NFC", "\u00e9t\u00e9 \uac1c").encode(),
    "decomposed": unicodedata.normalize("NFD", "\u00e9t\u00e9 \uac1c").encode(),
    "emoji": "\U0001f408\u200d\u2b1b".encode(),
    "right to left": "\u202eabc\u05d0".encode(),
    "control": b"\x01\x1b[31m",
    "long": b"x" * 200,
}
FEW_FOLDERS = ("blanks", "quotes", "line end", "dash", "colon", "markup", "percent", "no UTF-8", "emoji")


def draws(full: bool, seed: int) -> List[Draw]:
    folders = list(NAMES) if full else random.Random(f"{seed} oddnames").sample(FEW_FOLDERS, 2)
    found = [Draw("oddnames", f"oddnames: a project in {name}", functools.partial(_project, name)) for name in folders]
    more = [("photos", _photos), ("folders of photos", _folders), ("media", _media), ("classes", _classes)]
    return [*(Draw("oddnames", f"oddnames: {name}", run) for name, run in more), *found]


def _named(name: str) -> str:
    return os.fsdecode(NAMES[name])


def _add(world: World, project: Path, name: str, inside: str = "") -> None:
    """One more photo with XML under that name; the XML says so, as far as XML can."""
    for folder, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".xml")):
        source = sorted((world.template / "build" / "resize" / folder).iterdir())[0]
        target = project / "photos" / folder / inside
        target.mkdir(parents=True, exist_ok=True)
        if suffix == ".xml":
            text = re.sub("<filename>.*?</filename>", "", source.read_text(encoding="utf-8"))
            (target / f"{name}{suffix}").write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(source, target / f"{name}{suffix}")


def _read(world: World, project: Path, tally: Tally, counted: int) -> None:
    with tally.more("records"):
        done = world.run("records", cwd=project)
        judge.told(done, codes=[0])
        index = (project / "build" / "records" / "index.jsonl").read_text(encoding="utf-8", errors="surrogateescape")
        findings = json.loads((project / "build" / "records" / "dataset.json").read_text(encoding="utf-8"))["findings"]
        taken = len(index.splitlines()) + len({finding["file"] for finding in findings})
        assert taken >= counted, f"{taken} of {counted} pictures were taken or told"
    for words in (["status"], ["status", "--json"], ["gc"], ["records"]):
        with tally.more(" ".join(words)):
            judge.told(world.run(*words, cwd=project), codes=[0])


def _photos(world: World, tally: Tally) -> None:
    project = world.own()
    for name in NAMES:
        with tally.case(name):
            _add(world, project, _named(name))
    _read(world, project, tally, 4 + len(NAMES))


def _folders(world: World, tally: Tally) -> None:
    project = world.own()
    for name in NAMES:
        with tally.case(name):
            _add(world, project, f"photo-{len(os.fsencode(_named(name)))}-{list(NAMES).index(name)}", _named(name))
    _read(world, project, tally, 4 + len(NAMES))


def _media(world: World, tally: Tally) -> None:
    project = world.project(without=["detect", "report"])
    media = project / "media"
    media.mkdir()
    source = sorted((world.template / "build" / "resize" / "JPEGImages").iterdir())[0]
    for name in NAMES:
        with tally.case(name):
            shutil.copyfile(source, media / f"{_named(name)}.jpg")
    with tally.more("detect"):
        judge.told(world.run("detect", "--media", "media", cwd=project), codes=[0])
        text = (project / "build" / "detect" / "detections.json").read_text(encoding="utf-8", errors="surrogateescape")
        found = len(json.loads(text)["pictures"])
        assert found == len(NAMES), f"{found} of {len(NAMES)} pictures were looked at"
    with tally.more("report"):
        judge.told(world.run("report", cwd=project), codes=[0])
    for name in ("dash", "markup", "no UTF-8"):  # names of a file themselves; all of them were in the folder
        with tally.case(f"detect --media {name}"):
            done = world.run("detect", f"--media={media / (_named(name) + '.jpg')}", cwd=project)
            judge.told(done, codes=[0])


def _classes(world: World, tally: Tally) -> None:
    """One class after the other: those that TOML and a label map can hold are taken."""
    project = world.own()
    text = (project / "detector.toml").read_text(encoding="utf-8")
    xml = sorted((project / "photos" / "Annotations").iterdir())[0]
    boxes = xml.read_text(encoding="utf-8")
    for name in [name for name in FEW_FOLDERS if name != "no UTF-8"]:
        with tally.case(name):
            word = _named(name)
            classes = f'classes = [{json.dumps(word)}, "cone",'
            (project / "detector.toml").write_text(text.replace('classes = ["cone",', classes), encoding="utf-8")
            inside = word.replace("&", "&amp;").replace("<", "&lt;")
            xml.write_text(boxes.replace("<name>ball</name>", f"<name>{inside}</name>"), encoding="utf-8")
            judge.told(world.run("records", cwd=project), codes=[0, 2])


def _project(name: str, world: World, tally: Tally) -> None:
    with tally.case(name):
        template = world.project()
        project = world.folder / _named(name)
        project.mkdir()
        template.rename(project / "project")
        project = project / "project"
        for stage in ("records", "report"):
            judge.told(world.run("clean", "--stage", stage, "--yes", cwd=project), codes=[0])
        judge.told(world.run("status", cwd=project), codes=[0])
        judge.told(world.run("report", cwd=project), codes=[0])
        judge.equal(project, world.template, "records")
        judge.told(world.run("gc", cwd=project), codes=[0])
