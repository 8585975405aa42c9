"""What was built, in the viewer: artifacts are shown, to this machine only, and nothing else of the build folder is.

The server is a real one, so that paths and headers come as nobody's library would send them.
"""

import http.client
import os
import socket
import threading
from types import SimpleNamespace

import pytest
import uvicorn

from stages.view.app import app
from stages.view.exhibition import Exhibition
from stages.view.exhibits import Exhibits

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
def ask(build, tmp_path):
    """Asks the server for a path below /built; gives code, headers and text of the answer."""
    shown = Exhibition(Exhibits("test", build=str(build)), str(tmp_path / "cache"))
    shown.index.build()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(app(shown, "", ()), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()

    def answer(path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1])
        path = headers.pop("begin", "/built") + path
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        got = connection.getresponse()
        text = got.read().decode("utf-8")
        connection.close()
        return SimpleNamespace(code=got.status, headers=got.headers, text=text)

    yield answer
    server.should_exit = True
    thread.join(20)
    listener.close()


def test_the_report_is_shown_under_its_stages_name(ask):
    shown = ask("/report/report.html")
    assert (shown.code, shown.text) == (200, "this is report.html")
    assert shown.headers["Content-Type"].startswith("text/html")
    assert ask("/report/report.html?x=1#top").code == 200
    assert ask("/report/pictures/a%20b.jpg").text == "this is pictures/a b.jpg"


def test_pages_of_folders_link_what_can_be_seen_and_nothing_else(ask):
    assert [line for line in ask("/").text.splitlines() if "<li>" in line] == [
        '<li><a href="/built/report">report/</a></li>'
    ]
    page = ask("/report").text
    assert '<a href="/built/report/pictures">pictures/</a>' in page and "notes.txt" in page
    assert ".hidden" not in page and "away" not in page
    assert '<a href="/built/report/pictures/a%20b.jpg">a b.jpg</a>' in ask("/report/pictures/").text


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
        assert ask("/api/dataset", method, Host=host, begin="").code == 421


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


def test_it_is_to_be_looked_at_only(ask):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask("/report/report.html", method).code == 405


def test_every_answer_of_the_viewer_says_what_browsers_may_do(ask):
    for path in ("/api/dataset", "/api/pictures?size=none", "/nowhere", "/image/0123456789abcdef", "/page/none.js"):
        headers = ask(path, begin="").headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", "..", ".", "%2fetc%2fpasswd", "x%00"])
def test_of_the_page_there_are_its_own_files_only(ask, name):
    answered = ask("/page/" + name, begin="")
    assert answered.code == 404 and "import" not in answered.text
