import os
import signal

import pytest

from stages import workers
from stages.job import BadInput, StageFailed


def double(number):
    return number * 2


def refuse_three(number):
    if number == 3:
        raise BadInput("no three")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_order(processes):
    assert list(workers.in_order(double, range(40), processes)) == list(range(0, 80, 2))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_at_its_turn(processes):
    results = workers.in_order(refuse_three, range(9), processes)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BadInput, match="no three"):
        next(results)


def test_no_more_than_a_few_items_are_taken_ahead():
    taken = []
    results = workers.in_order(double, (taken.append(number) or number for number in range(1000)), 2)
    next(results)
    assert len(taken) <= 2 * workers.AHEAD
    results.close()


def test_a_killed_process_is_one_sentence():
    with pytest.raises(StageFailed, match="lack of memory"):
        list(workers.in_order(die, range(4), 2))
