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
        cookies = {"Cookie": "%s=%s" % (welcomed(made, TOKEN)[0], token)}
        assert client(made, TOKEN).get(path, headers=cookies).status_code == 403


@pytest.mark.parametrize(
    "others", ["a/b=1", "{x}=1", 'settings={"a": [1, "b;c"]}', "a[b]=1", "nameless", "é=1", "=;;=,", ""]
)
def test_cookies_that_other_programs_of_the_machine_left_do_not_matter(made, others):
    name, value = welcomed(made, TOKEN)
    for cookies in ("%s; %s=%s" % (others, name, value), "%s=%s; %s" % (name, value, others)):
        answer = client(made, TOKEN).get("/api/dataset", headers={"Cookie": cookies.encode("latin-1")})
        assert answer.status_code == 200


def test_viewers_at_several_ports_do_not_take_each_others_cookies_away(made):
    """Browsers keep the cookies of a host for all of its ports."""
    one, other = welcomed(made, TOKEN), welcomed(made, TOKEN[::-1])
    cookies = {"Cookie": "%s=%s; %s=%s" % (*one, *other)}
    for token in (TOKEN, TOKEN[::-1]):
        assert client(made, token).get("/api/dataset", headers=cookies).status_code == 200


def welcomed(made, token):
    """Name and value of the cookie that whoever has the token gets."""
    told = client(made, token).get("/?token=" + token).headers["set-cookie"]
    name, value = told.split(";")[0].split("=")
    return name, value


@pytest.mark.parametrize("host", ["192.168.0.7", "192.168.0.7:80", "localhost", "127.0.0.1:8000", "Box"])
def test_the_names_that_it_was_given_are_answered(made, host):
    assert client(made, "", ("192.168.0.7", "box")).get("/api/dataset", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["192.168.0.8", "evil.example", "192.168.0.7.evil.example", ""])
def test_other_names_are_refused_token_or_not(made, host):
    browser = client(made, TOKEN, ("192.168.0.7",))
    assert browser.get("/api/dataset?token=" + TOKEN, headers={"Host": host}).status_code == 421
