"""The real daemon keeps what the fake one of the host suite keeps: the same assertions for both."""

import subprocess

import pytest

from nanoforge.containers.connection import connect
from nanoforge.containers.container import sweep
from tests.fakes.contract import MINE, TAG, VOLUME, DaemonContract


class TestRealDaemon(DaemonContract):
    @pytest.fixture
    def daemon(self):
        daemon = connect()
        yield daemon
        sweep(daemon, MINE)
        daemon.remove_volume(VOLUME)
        daemon.close()
        subprocess.run(["docker", "rmi", TAG, "nanoforge-contract:2"], capture_output=True)
