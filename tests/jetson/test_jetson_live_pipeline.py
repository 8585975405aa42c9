"""The threads of live detection: nothing is lost, reordered or late, and everything ends."""

import threading
import time

import numpy as np
import pytest
from live_parts import Kept, Numbered, SlowNetwork

from stages.detect.channel import Channel, Closed
from stages.detect.figures import Figures
from stages.detect.pipeline import Pipeline
from stages.detect.sinks.sink import SinkClosed
from stages.job import BadInput, StageFailed


class Run:
    """A pipeline, run to its end."""

    def __init__(self, source, detector, sinks, frames=0, threshold=0.5, stop_after=None):
        self.figures, self.told, self.progress = Figures(), [], []
        begun = time.monotonic()

        def stopping():
            return stop_after is not None and time.monotonic() - begun > stop_after

        pipeline = Pipeline(
            source, detector, sinks, self.figures, threshold, frames, self.told.append,
            lambda: self.progress.append(self.figures.sentence()),
        )  # fmt: skip
        self.error = None
        try:
            pipeline.run(stopping)
        except (BadInput, StageFailed) as error:
            self.error = error
        self.seconds = time.monotonic() - begun


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_every_frame_of_a_file_reaches_every_sink_in_order(slots):
    sinks, detector = [Kept(0.002), Kept()], SlowNetwork(0.001, slots)
    done = Run(Numbered(40), detector, sinks)
    for sink in sinks:
        assert sink.numbers == list(range(40)) and sink.closed == 1
        assert all(int(one.frame.picture[0, 0, 0]) == one.frame.number for one in sink.findings)
    assert done.figures.summary()["frames"] == 40 and done.figures.summary()["left_out"] == 0
    assert [one["score"] for one in sinks[0].findings[0].detections] == [0.9]


def test_a_slot_is_not_filled_before_its_result_was_had():
    detector = SlowNetwork(0.002)
    Run(Numbered(20), detector, [Kept()])
    busy = set()
    for what, slot, *_ in detector.log:
        if what == "prepare":
            assert slot not in busy
        busy = busy | {slot} if what == "start" else busy - {slot} if what == "finish" else busy


def test_the_next_picture_is_prepared_while_the_network_computes():
    detector = SlowNetwork(0.01)
    Run(Numbered(20), detector, [])
    under_way = beside_another = 0
    for what, *_ in detector.log:
        beside_another += what == "prepare" and under_way
        under_way += {"prepare": 0, "start": 1, "finish": -1}[what]
    assert under_way == 0 and beside_another >= 10


def test_a_result_does_not_wait_for_the_next_frame():
    done = Run(Numbered(3, every=1.0), SlowNetwork(0.02), [Kept()])
    assert done.figures.latency(recent=False)[0] < 900


def test_a_camera_that_is_too_fast_loses_its_oldest_frames_and_this_is_told():
    sink = Kept()
    done = Run(Numbered(200, every=0.005), SlowNetwork(0.02), [sink])
    assert sink.numbers == sorted(sink.numbers) and sink.numbers[-1] == 199 and 5 < len(sink.numbers) < 130
    assert done.figures.left_out == 200 - len(sink.numbers)
    assert "%d left out" % done.figures.left_out in done.figures.sentence()
    assert done.figures.latency(recent=False)[0] < 700, "were all kept, half of them would wait for over 1.5 s"


def test_a_slow_sink_of_a_camera_holds_up_nobody_and_this_is_told():
    slow, quick = Kept(0.1, title="slow.mp4"), Kept()
    done = Run(Numbered(60, every=0.02), SlowNetwork(0.001), [quick, slow])
    assert len(slow.numbers) < 16 < len(quick.numbers) and slow.numbers == sorted(slow.numbers)
    assert slow.numbers[-1] == 59
    assert any("slow.mp4 was too slow for" in told for told in done.told)


def test_each_sink_has_one_thread_of_its_own():
    sinks = [Kept(), Kept()]
    Run(Numbered(5), SlowNetwork(), sinks)
    assert all(len(sink.threads) == 1 for sink in sinks) and sinks[0].threads != sinks[1].threads
    assert threading.current_thread() not in sinks[0].threads | sinks[1].threads


def test_a_sink_that_fails_ends_the_run_with_its_sentence_and_the_others_finish():
    broken = Kept(ends_after=3, error=StageFailed("The disk is full"))
    whole = Kept()
    done = Run(Numbered(10000, every=0.002), SlowNetwork(0.001), [whole, broken])
    assert str(done.error) == "The disk is full" and done.seconds < 10
    assert (whole.closed, broken.closed) == (1, 1)


def test_a_closed_window_ends_the_run_where_it_is_the_only_sink():
    done = Run(Numbered(10000), SlowNetwork(), [Kept(ends_after=3, error=SinkClosed())])
    assert done.error is None and 3 <= done.figures.frames < 10000


def test_a_closed_window_leaves_the_other_sinks_at_work():
    other = Kept()
    done = Run(Numbered(40), SlowNetwork(0.001), [Kept(ends_after=3, error=SinkClosed(), title="the window"), other])
    assert other.numbers == list(range(40)) and done.error is None
    assert [told for told in done.told if "the window was closed" in told]


def test_a_source_that_fails_is_told_after_what_it_gave():
    sink = Kept()
    done = Run(Numbered(3, error=BadInput("it is gone")), SlowNetwork(), [sink])
    assert str(done.error) == "it is gone" and sink.numbers == [0, 1, 2] and sink.closed == 1


def test_an_end_that_is_asked_for_comes_soon_and_what_is_under_way_is_shown(monkeypatch):
    monkeypatch.setattr("stages.detect.pipeline.LAST_WORDS_S", 120.0)  # for sinks that need it
    sink = Kept()
    done = Run(Numbered(100000, every=0.005), SlowNetwork(0.01), [sink], stop_after=0.3)
    assert done.seconds < 30 and done.error is None and sink.closed == 1
    assert len(sink.numbers) == done.figures.frames


def test_an_end_comes_even_where_a_files_sink_takes_nothing(monkeypatch):
    monkeypatch.setattr("stages.detect.pipeline.LAST_WORDS_S", 0.5)
    done = Run(Numbered(100000), SlowNetwork(), [Kept(60, title="a pipe")], stop_after=0.2)
    assert done.seconds < 30 and "a pipe takes nothing" in str(done.error)


@pytest.mark.parametrize("every, quick", [(None, False), (0.001, True)])
def test_only_a_cameras_frames_are_shrunk_the_quick_way(every, quick):
    detector = SlowNetwork()
    Run(Numbered(3, every), detector, [])
    assert detector.quick is quick


def test_so_many_frames_and_no_more():
    sink = Kept()
    Run(Numbered(1000), SlowNetwork(0.001), [sink], frames=7)
    assert sink.numbers == list(range(7))


def test_figures_are_shown_each_second():
    done = Run(Numbered(130, every=0.02), SlowNetwork(0.001), [Kept()])
    assert 2 <= len(done.progress) <= done.seconds
    fps = float(done.progress[-1].split()[0])
    assert 0.4 < fps / (done.figures.frames / done.seconds) < 2.5 and "latency" in done.progress[-1]


def test_a_picture_is_drawn_once_and_the_frame_stays_as_it_was():
    sinks = [Kept(), Kept()]
    Run(Numbered(1), SlowNetwork(), sinks)
    (one,), (other,) = (sink.findings for sink in sinks)
    assert one is other and one.drawn() is other.drawn()
    assert not np.array_equal(one.drawn(), one.frame.picture) and not one.frame.picture.any()


def test_a_channel_keeps_the_newest_or_waits():
    newest = Channel(2, True, lambda: False)
    assert all(newest.put(number) for number in range(5)) and newest.dropped == 3
    newest.close()
    assert list(newest) == [3, 4] and not newest.put(5)
    waits = Channel(1, False, lambda: False)
    threading.Timer(0.1, waits.get).start()
    begun = time.monotonic()
    assert waits.put(0) and waits.put(1) and time.monotonic() - begun > 0.05
    waits.close(ValueError("lost"))
    assert waits.get() == 1
    with pytest.raises(ValueError):
        waits.get()
    assert Channel(1, False, lambda: False).get(0) is None
    with pytest.raises(Closed):
        newest.get()
