"""How fast the work goes, in words."""

from stages.data.progress import EVERY_S, SPAN_S, ImageRate


def test_the_rate_is_that_of_the_last_seconds():
    clock = [0.0]
    rate = ImageRate(lambda: clock[0])
    assert not rate.is_due(1) and rate.words(1) == "0.0 images/s"
    clock[0] = 10.0
    assert rate.is_due(50) and rate.words(50) == "5.0 images/s"
    assert not rate.is_due(51)
    done = 50
    for _ in range(int(2 * SPAN_S / EVERY_S)):
        clock[0] += EVERY_S
        done += int(100 * EVERY_S)
        assert rate.is_due(done)
    assert rate.words(done) == "100 images/s"
