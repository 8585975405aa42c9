"""Who is answered where others may reach the viewer: those who have the token."""

import pytest
from data_view import client, shown

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return shown(tmp_path_factory.mktemp("none"))


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address(made):
    browser = client(made, TOKEN, ("192.168.0.7",), "http://192.168.0.7:8000")
    assert browser.get("/api/dataset").status_code == 403
    welcome = browser.get("/?token=" + TOKEN)
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
    cookie = welcome.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert browser.get("/api/dataset").status_code == 200


def test_a_filter_in_the_address_stays_when_the_token_goes(made):
    browser = client(made, TOKEN)
    welcome = browser.get("/picture/0123?class=cat&token=%s&name=a%%26b" % TOKEN)
    assert welcome.headers["location"] == "/picture/0123?class=cat&name=a%26b"


@pytest.mark.parametrize("path", ["//evil.example/", "/%2f/evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site(made, path):
    welcome = client(made, TOKEN).get(path + "?token=" + TOKEN)
    assert welcome.headers["location"].startswith("/") and not welcome.headers["location"].startswith(("//", "/\\"))


@pytest.mark.parametrize("token", ["", "0", TOKEN[:-1], TOKEN + "0", "x" * 16, "%C3%A4", "%00"])
def test_another_token_is_none(made, token):
    for path in ("/", "/api/dataset", "/built/", "/image/0123456789abcdef"):
        assert client(made, TOKEN).get(path + "?token=" + token).status_code == 403
        cookies = {"Cookie": "nanoforge_token=" + token}
        assert client(made, TOKEN).get(path, headers=cookies).status_code == 403


@pytest.mark.parametrize("host", ["192.168.0.7", "192.168.0.7:80", "localhost", "127.0.0.1:8000", "Box"])
def test_the_names_that_it_was_given_are_answered(made, host):
    assert client(made, "", ("192.168.0.7", "box")).get("/api/dataset", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["192.168.0.8", "evil.example", "192.168.0.7.evil.example", ""])
def test_other_names_are_refused_token_or_not(made, host):
    browser = client(made, TOKEN, ("192.168.0.7",))
    assert browser.get("/api/dataset?token=" + TOKEN, headers={"Host": host}).status_code == 421
