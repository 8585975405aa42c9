"""What the user sees off a terminal and on one, and the request to end that reaches whatever runs."""

import io
import threading

import pytest
from rich.console import Console as RichConsole

from nanoforge import console as console_module
from nanoforge.console import PLAIN_INTERVAL_S, Console
from nanoforge.stop import Stop


def test_square_brackets_are_text_and_not_markup(capsys):
    console = Console()
    console.say("[red]x[/red]")
    console.good("[hosts.nano]")
    console.warn("[/]")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["[red]x[/red]", "[hosts.nano]", "warning: [/]"]
    assert captured.out == ""


def test_a_bar_off_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: clock[0])
    with Console().bar("train") as bar:
        for step in range(5):
            bar.update(step, 5, f"loss {step} [x]")
            clock[0] += PLAIN_INTERVAL_S / 2
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "train 0 of 5  loss 0 [x]",
        "train 2 of 5  loss 2 [x]  0:00:30 left",
        "train 4 of 5  loss 4 [x]  0:00:10 left",
    ]


def test_a_status_off_a_terminal_is_one_line(capsys):
    with Console().status("loading [a]"):
        pass
    assert capsys.readouterr().err == "loading [a] …\n"


@pytest.fixture
def terminal():
    """A console on a terminal, and what is drawn there."""
    console, drawn = Console(), io.StringIO()
    console._rich = RichConsole(file=drawn, force_terminal=True, width=120)
    return console, drawn


def test_bars_in_several_threads_share_one_display(terminal):
    console, drawn = terminal
    both = threading.Barrier(2)

    def work(title):
        with console.bar(title) as bar:
            both.wait(timeout=30)
            bar.update(1, 2, f"half of {title} [x]")
            console._progress.refresh()
            both.wait(timeout=30)

    threads = [threading.Thread(target=work, args=(title,)) for title in ("evaluate", "export")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert console._progress is None
    assert "half of evaluate [x]" in drawn.getvalue() and "half of export [x]" in drawn.getvalue()


def test_a_display_is_closed_by_an_error_too(terminal):
    console, _ = terminal
    with pytest.raises(KeyError), console.bar("train"):
        raise KeyError
    assert console._progress is None
    with console.bar("train") as bar:
        bar.update(1, 1, "")


def test_a_request_to_end_reaches_what_runs():
    stop, ended = Stop(), []
    stop.by(lambda: ended.append("it"))
    assert (stop.asked, ended) == (False, [])
    stop.ask()
    assert (stop.asked, ended) == (True, ["it"])


def test_a_request_that_came_before_there_was_anything_to_end_is_kept():
    stop, ended = Stop(), []
    stop.ask()
    stop.by(lambda: ended.append("it"))
    assert ended == ["it"]


def test_a_request_goes_to_the_last_that_said_how():
    stop, ended = Stop(), []
    stop.by(lambda: ended.append("first"))
    stop.by(lambda: ended.append("second"))
    stop.ask()
    assert ended == ["second"]


def test_what_ends_a_thing_may_look_at_the_request():
    stop, seen = Stop(), []
    stop.by(lambda: seen.append(stop.asked) or stop.by(lambda: None))
    stop.ask()
    assert seen == [True]
