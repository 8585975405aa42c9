"""TensorBoard as it is served: it listens before it says so, shows the events, and answers to this machine only."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import tensorflow as tf

from stages.job import EVENT_MARK

pytestmark = pytest.mark.slow  # a TensorBoard takes long to start
CLONE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a TensorBoard on events in a folder whose name holds what TensorBoard would split it at."""
    events = tmp_path_factory.mktemp("curves") / "name:a,b"
    writer = tf.summary.FileWriter(str(events))
    writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=3.0)]), 1)
    writer.close()
    with _started(str(events), 0) as server:
        for line in server.stdout:
            if EVENT_MARK in line:
                yield "http://127.0.0.1:%d/" % json.loads(line.partition(EVENT_MARK)[2])["listening"]
                break
        else:
            pytest.fail("it never listened")
        server.kill()


def _started(folder, port):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "stages.train.curves", folder, "127.0.0.1", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, cwd=CLONE,
    )  # fmt: skip


def _ask(address, **headers):
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60)


def test_the_events_are_there_whatever_their_folder_is_called(served):
    while True:  # the events are read in the background
        runs = json.loads(_ask(served + "data/plugin/scalars/tags").read().decode())
        if runs:
            break
    assert [list(tags) for tags in runs.values()] == [["loss"]]
    assert b"<tf-tensorboard" in _ask(served).read()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:6006", "192.168.0.7:6006"])
def test_a_page_of_another_site_whose_name_points_here_gets_nothing(served, host):
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(served + "data/plugin/scalars/tags", Host=host)
    assert refused.value.code == 421 and b"loss" not in refused.value.read()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "[::1]:6006"])
def test_names_of_this_machine_are_answered_at_any_port(served, host):
    assert _ask(served + "data/plugins_listing", Host=host).status == 200


def test_plugins_that_read_whatever_file_a_request_names_are_left_out(served):
    listed = json.loads(_ask(served + "data/plugins_listing").read().decode())
    assert {"core", "scalars", "graphs"} <= set(listed)
    assert not {"whatif", "projector", "beholder", "debugger"} & set(listed)


def test_a_port_that_is_taken_is_told_and_nothing_is_announced(served, tmp_path):
    port = int(served.rsplit(":", 1)[1].strip("/"))
    with _started(str(tmp_path), port) as second:
        said = second.communicate(timeout=120)[0]
    assert second.returncode == 1 and "already in use" in said and EVENT_MARK not in said
