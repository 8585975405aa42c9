"""`view` on the host: what it is to show, who may see that, and how its server gets to know both."""

import json
import os

import pytest

from nanoforge.commands import view
from nanoforge.commands.options import StageOptions
from nanoforge.errors import BadInput, StageFailed


@pytest.fixture
def told(monkeypatch, tmp_path):
    """What servers are started with, each with its view.json and that file's mode."""
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    started = []

    def serve(_base, server, work):
        mode = os.stat(work.served).st_mode & 0o777
        started.append((server.name, work, json.loads(work.served.read_text()), mode))

    monkeypatch.setattr(view, "serve", serve)
    return started


def asked(*what, listen="127.0.0.1", config="", runner="local", checkpoint=""):
    view.view(StageOptions(config, runner=runner), what, checkpoint, 0, listen)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_loopback_there_is_no_token(address):
    assert view.access(address).token == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.0.7", "::", "2001:db8::1"])
def test_on_any_other_address_there_is_a_token_that_nobody_guesses(address):
    first, second = view.access(address), view.access(address)
    assert len(first.token) >= 32 and first.token != second.token


def test_the_names_that_are_answered_are_the_address_or_all_of_this_machine():
    assert view.access("192.168.0.7").names == ("192.168.0.7",)
    assert view.access("2001:db8::1").names == ("[2001:db8::1]",)
    assert "127.0.0.1" in view.access("0.0.0.0").names and "evil.example" not in view.access("0.0.0.0").names


@pytest.mark.parametrize("address", ["", "example.org", "0.0.0.0:80", "300.1.1.1", "*"])
def test_what_is_no_address_is_a_sentence(address):
    with pytest.raises(BadInput, match="expected an address of this machine"):
        view.access(address)


def test_an_address_of_another_machine_is_told_before_anything_else(told, tmp_path):
    with pytest.raises(BadInput, match=r"--listen 192\.0\.2\.1: this machine has no such address"):
        asked(tmp_path, listen="192.0.2.1")
    assert told == []


def test_the_token_is_in_the_address_and_the_environment_and_nowhere_else(told, tmp_path):
    asked(str(tmp_path), listen="0.0.0.0")
    ((_, work, description, _),) = told
    token = work.variables["NANOFORGE_VIEW_TOKEN"]
    assert work.announcement.endswith(f":{work.port}/?token={token}") and work.address == "0.0.0.0"
    assert token not in json.dumps(description) and token not in str(work.served)
    asked(str(tmp_path))
    assert told[1][1].variables == {} and "?token" not in told[1][1].announcement


def test_files_folders_and_patterns_are_shown_as_they_were_named(told, tmp_path):
    for name in ("b.record", "a.record", "photos/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    asked("*.record", str(tmp_path / "photos"))
    ((name, work, description, mode),) = told
    (source,) = description["sources"]
    assert source["paths"] == [str(tmp_path / one) for one in ("a.record", "b.record", "photos")]
    assert (name, source["title"], description["build"]) == ("view", "a.record and 2 more", "")
    assert description["cache"] == str(tmp_path / "cache" / "view") and mode == 0o644
    assert not work.served.exists() and work.address == "127.0.0.1"


def test_what_is_not_there_or_no_file_is_a_sentence(told, tmp_path):
    with pytest.raises(BadInput, match="There is no .*nothing"):
        asked("nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is neither a file nor a folder"):
        asked("pipe")
    with pytest.raises(BadInput, match="--checkpoint is for the records of a project"):
        asked(str(tmp_path), checkpoint="best")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "detector"
    records = tmp_path / "elsewhere" / "records" / "0123"
    records.mkdir(parents=True)
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "records").symlink_to(records)
    (folder / "detector.toml").write_text('[dataset]\nclasses = ["cat"]\n')
    return folder


def test_a_project_is_shown_with_its_records_wherever_they_are(told, project, tmp_path):
    asked(config=str(project))
    ((_, _, description, _),) = told
    assert description == {
        "title": "detector",
        "sources": [{"paths": [str(tmp_path / "elsewhere" / "records" / "0123")], "title": "records"}],
        "build": str(project / "build"),
        "cache": str(project / "build" / "cache" / "view"),
        "names": ["127.0.0.1"],
    }


def test_a_checkpoint_is_evaluated_before_it_is_shown(told, project, monkeypatch):
    done = []
    monkeypatch.setattr(view, "run_stage", lambda stage, options: done.append((stage, *options.overrides)))
    asked(config=str(project), checkpoint="900")
    assert done == [("evaluate", 'evaluate.checkpoint="900"')] and len(told) == 1


def test_a_project_without_records_and_report_has_nothing_to_show(told, project):
    (project / "build" / "records").unlink()
    with pytest.raises(StageFailed, match="run `build` first, or name photos or TFRecords"):
        asked(config=str(project))


def test_a_container_sees_the_named_folders_and_files_side_by_side(tmp_path):
    for name in ("one/a", "one/b", "two/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    folders = view._Folders(True)
    seen = [folders.seen(tmp_path / name) for name in ("one/a", "one/b", "two")]
    assert seen == ["/nanoforge/inputs/1/a", "/nanoforge/inputs/1/b", "/nanoforge/inputs/2"]
    assert folders.mounts == [
        (str(tmp_path / "one"), "/nanoforge/inputs/1", True),
        (str(tmp_path / "two"), "/nanoforge/inputs/2", True),
    ]
