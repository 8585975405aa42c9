"""The fake daemon keeps what a real one keeps; tests/containers holds the same against a real one."""

import pytest

from nanoforge.containers.daemon import Attachment, Daemon
from tests.fakes.contract import IMAGE, DaemonContract
from tests.fakes.daemon import Attached, FakeDaemon


class TestFakeDaemon(DaemonContract):
    @pytest.fixture
    def daemon(self, tmp_path):
        daemon = FakeDaemon(tmp_path / "fake")
        daemon.add_image(IMAGE)
        return daemon

    def test_it_has_all_that_the_protocol_asks_for(self, daemon):
        asked = {*vars(Daemon), *Daemon.__annotations__}
        assert {name for name in asked if not name.startswith("_")} <= {*dir(daemon)}
        assert {name for name in vars(Attachment) if not name.startswith("_")} <= {*dir(Attached)}
