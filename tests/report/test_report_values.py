"""How numbers are written in the page."""

import math

import pytest

from stages.pages.html import figure, plain, seconds, share, short, size

EN_DASH = "\u2013"


@pytest.mark.parametrize(
    "value, text",
    [
        (1234567, "1,234,567"),
        (0.81234, "0.812"),
        (0.0, "0.000"),
        (1.23e-05, "1.23e-05"),
        (-1.5, "-1.500"),
        (None, EN_DASH),
        (math.nan, EN_DASH),
        (math.inf, EN_DASH),
        ("57/57", "57/57"),
    ],
)
def test_figures(value: object, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    "value, text", [(12.34, "12.3 s"), (467.2, "7 min 47 s"), (3599.7, "1 h 00 min"), (4000, "1 h 06 min")]
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (5_423_111, "5.4 MB"),
        (999_999, "1.0 MB"),
        (7_500_000_000_000, "7500.0 GB"),
    ],
)
def test_byte_counts(value: int, text: str) -> None:
    assert size(value) == text


def test_shares_digests_and_json() -> None:
    assert share(0.4321) == "43.2%" and share(None) == "0%" and share(math.nan) == "0%"
    assert short("sha256:" + "ab" * 32) == "abababababab"
    assert plain({"b": [1], "a": "고깔"}) == '{"a": "고깔", "b": [1]}' and plain("x") == "x"
    assert plain([0.9388092756271362, {"scale": 2 / 255}, 7]) == '[0.938809, {"scale": 0.00784314}, 7]'
