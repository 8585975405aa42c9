"""A damaged graph is refused in one sentence, or converted and proven: no traceback, no hang, no wrong result."""

import collections
import signal

import damage
import pytest
import tensorflow as tf
from test_convert_parity import compare

from stages.convert.graph.analysis import Refused, analyse
from stages.job import BadInput

SECONDS = 240  # for one graph; more is a hang


def outcome(data, folder):
    """``refused``, ``unproven`` (the stage fails, naming a difference) or ``proven``; anything else raises."""
    (folder / "damaged.pb").write_bytes(data)
    try:
        found = analyse(str(folder / "damaged.pb"))
    except BadInput as error:
        return sentence(str(error))
    if isinstance(found, Refused):
        return sentence(found.reason)
    try:
        if compare(found, folder, count=4)["failures"]:
            # What the proof on the first picture does not see must be right too.
            assert compare(found, folder, count=1)["failures"], (
                "only more pictures than the proof's show the difference"
            )
            return "unproven"
    except BadInput as error:
        return sentence(str(error))
    finally:
        found.session.close()
    return "proven"


def sentence(text):
    assert 20 < len(text) < 900 and "\n" not in text and "Traceback" not in text, text
    return "refused"


def hung(_signal, _frame):
    raise AssertionError("the graph was neither refused nor converted in %d seconds" % SECONDS)


def outcomes(definition, numbers, folder):
    found = collections.Counter()
    before = signal.signal(signal.SIGALRM, hung)
    try:
        for number in numbers:
            kind, data = damage.damaged(definition, number)
            signal.alarm(SECONDS)
            try:
                found[outcome(data, folder)] += 1
            except Exception as error:
                raise AssertionError("damage %d (%s): %r" % (number, kind, error)) from error
            finally:
                signal.alarm(0)
                tf.reset_default_graph()
    finally:
        signal.signal(signal.SIGALRM, before)
    return found


def test_damaged_graphs_are_refused_or_proven(definition, tmp_path):
    found = outcomes(definition, range(20), tmp_path)
    assert found["refused"] > 10 and found["proven"] > 2, found


@pytest.mark.slow
def test_many_more_damaged_graphs_are_refused_or_proven(definition, tmp_path):
    found = outcomes(definition, range(1000, 2000), tmp_path)
    assert found["refused"] > 700 and found["proven"] > 100, found


def test_every_kind_of_damage_is_among_them():
    assert {damage.kind_of(number) for number in range(1000, 1200)} == set(damage.KINDS)


def test_damage_repeats(definition):
    first = damage.damaged(definition, 3)
    assert first == damage.damaged(definition, 3) and first[0] == damage.kind_of(3)
