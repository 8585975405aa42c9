"""The viewer's server: artifacts are shown, to this machine's names only, and nothing else of the build folder is."""

import http.client
import os
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from stages.view.server import ArtifactHandler, LocalServer

SECRETS = ("logs/train.log", "cache/digests.sqlite", "lock", "store/train/work-1/scratch/job.json", "failures/x.json")


@pytest.fixture
def build(tmp_path):
    """A build folder whose only artifact is a report, with what else lies there."""
    build = tmp_path / "a:b" / "build"
    artifact = build / "store" / "report" / "0123"
    (artifact / "pictures").mkdir(parents=True)
    for name in ("report.html", "record.json", "pictures/a b.jpg", "page.xml", ".hidden", "notes.txt"):
        (artifact / name).write_text(f"this is {name}")
    for name in SECRETS:
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "index.html").write_text("secret")
    (artifact / "away").symlink_to(tmp_path / "outside")
    (artifact / "away.html").symlink_to(tmp_path / "outside" / "index.html")
    (artifact / "pictures" / "index.html").symlink_to(tmp_path / "outside" / "index.html")
    (build / "report").symlink_to("store/report/0123")
    (build / "outside").symlink_to(tmp_path / "outside")
    (build / "dangling").symlink_to("nowhere")
    return build


@pytest.fixture
def ask(build):
    """Asks the server for a path; gives code, headers and text of the answer."""
    server = LocalServer(("127.0.0.1", 0), partial(ArtifactHandler, directory=str(build)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        got = connection.getresponse()
        text = got.read().decode("utf-8")
        connection.close()
        return SimpleNamespace(code=got.status, headers=got.headers, text=text)

    yield answer
    server.shutdown()
    server.server_close()


def test_the_report_is_shown_under_its_stages_name(ask):
    shown = ask("/report/report.html")
    assert (shown.code, shown.text) == (200, "this is report.html")
    assert shown.headers["Content-Type"].startswith("text/html")
    assert ask("/report/report.html?x=1#top").code == 200
    assert ask("/report/pictures/a%20b.jpg").text == "this is pictures/a b.jpg"


def test_pages_of_folders_link_what_can_be_seen_and_nothing_else(ask):
    assert [line for line in ask("/").text.splitlines() if "<li>" in line] == ['<li><a href="/report">report/</a></li>']
    page = ask("/report").text
    assert '<a href="/report/pictures">pictures/</a>' in page and "notes.txt" in page
    assert ".hidden" not in page and "away" not in page
    assert '<a href="/report/pictures/a%20b.jpg">a b.jpg</a>' in ask("/report/pictures/").text


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{name}" for name in SECRETS),
        *("/logs", "/cache/", "/store/", "/store/report/0123/report.html", "/failures/"),
        *("/report/.hidden", "/report/away", "/report/away/index.html", "/report/away.html"),
        *("/report/pictures/index.html", "/report/nothing", "/report/report.html/"),
        *("/outside", "/outside/index.html", "/dangling", "/dangling/x"),
        *("/report/../logs/train.log", "/report/%2e%2e/logs/train.log", "/report/..%2f..%2f..%2flogs/train.log"),
        *("/..%2f..%2foutside/index.html", "//127.0.0.1/logs/train.log", "/report/a%00b", "/%00", "/report/%ff"),
    ],
)  # fmt: skip
def test_what_is_no_artifact_is_not_there(ask, path):
    answered = ask(path)
    assert answered.code == 404 and "secret" not in answered.text


def test_a_next_build_is_seen_without_a_restart_and_nothing_old_is_kept_by_the_browser(ask, build):
    assert "no-store" in ask("/report/report.html").headers["Cache-Control"]
    new = build / "store" / "report" / "4567"
    new.mkdir()
    (new / "record.json").write_text("{}")
    (new / "report.html").write_text("new")
    os.utime(new / "report.html", (0, 0))
    (build / "report").unlink()
    (build / "report").symlink_to("store/report/4567")
    assert ask("/report/report.html").text == "new"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:8000", "127.0.0.1:9000", "[::1]:8000"])
def test_names_of_this_machine_are_answered_at_any_port(ask, host):
    assert ask("/report/report.html", Host=host).code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example:80", "192.168.0.7", ""],
)
def test_a_page_of_another_site_whose_name_points_here_gets_nothing(ask, host, method):
    for path in ("/", "/report/report.html"):
        refused = ask(path, method, Host=host)
        assert refused.code == 421 and "this is" not in refused.text


def test_nothing_that_is_shown_may_run_scripts_but_the_report_by_its_own_policy(ask):
    for path in ("/", "/report", "/report/page.xml", "/report/notes.txt", "/nowhere"):
        headers = ask(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "script-src" not in headers["Content-Security-Policy"], path
    assert "script-src" in ask("/report/report.html").headers["Content-Security-Policy"]
    assert ask("/report/notes.txt").headers["Content-Type"].startswith("text/plain")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_sentence(ask, build):
    folder = build / "store" / "report" / "0123" / "pictures"
    folder.chmod(0)
    assert ask("/report/pictures").code == 403
    folder.chmod(0o755)
