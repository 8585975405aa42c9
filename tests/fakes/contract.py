"""What Nanoforge relies on in a Docker daemon: the same assertions for a real one and for the fake.

A subclass gives the fixture ``daemon``, which has the image nanoforge-data. Every program stands here twice: as the
command that a real container runs, and as the function that the fake calls.
"""

import pytest

from nanoforge.containers import compose, volumes
from nanoforge.containers.container import remove, run_to_end, sweep
from nanoforge.containers.daemon import Container, DaemonRefused, Folder, ImageBuild
from nanoforge.containers.volumes import Carrier, Content, FarFile
from nanoforge.errors import EnvironmentNotReady
from nanoforge.files.selection import ALL_FILES
from nanoforge.stop import Stop

IMAGE, TAG = "nanoforge-data", "nanoforge-contract:1"
MINE = {"nanoforge.contract": "1"}
VOLUME = "nanoforge-contract"
TARGET = "/nanoforge/inputs/here"


def container(*command, **options):
    return Container(compose.service("data"), IMAGE, list(command), labels=MINE, **options)


class DaemonContract:
    def run(self, daemon, asked, program=None, on_line=None, stop=None):
        """The exit of a container and its lines."""
        if program and hasattr(daemon, "program"):
            daemon.program = program
        lines = []
        ended = run_to_end(daemon, asked, on_line or lines.append, stop or Stop(), "the contract ran")
        return ended, lines

    @pytest.fixture
    def carrier(self, daemon):
        """A container that is never started, with a volume at TARGET."""
        volumes.ensure(daemon, VOLUME, MINE)
        identity = daemon.create(container("true", folders=[Folder(VOLUME, TARGET, read_only=False)]))
        yield Carrier(daemon, identity, 1000)
        remove(daemon, identity)
        daemon.remove_volume(VOLUME)

    # --- containers

    def test_both_streams_come_as_lines_with_the_exit_code_and_nothing_is_left(self, daemon):
        def program(process):
            process.print("one")
            process.print("two", 2)
            process.print("three", end="")
            return 7

        asked = container("sh", "-c", "echo one; echo two >&2; printf three; exit 7")
        ended, lines = self.run(daemon, asked, program)
        assert (ended.code, ended.out_of_memory, sorted(lines)) == (7, False, ["one", "three", "two"])
        assert daemon.containers(MINE) == []

    def test_a_program_gets_its_words_and_variables(self, daemon):
        def program(process):
            process.print(f"{process.command[3:]} {process.environment['ABC']}")
            return 0

        code = "import os, sys; print(sys.argv[1:], os.environ['ABC'])"
        asked = container("python3", "-c", code, "a b", "c", environment={"ABC": "x y"})
        assert self.run(daemon, asked, program) == ((0, False), ["['a b', 'c'] x y"])

    def test_a_mounted_folder_is_read_and_only_written_where_it_may(self, daemon, tmp_path):
        def program(process):
            process.write("/out/copy", process.read("/in/a"))
            process.write("/in/b", b"x")

        for name in ("in", "out"):
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(0o777)
        (tmp_path / "in" / "a").write_bytes(b"content")
        folders = [Folder(str(tmp_path / "in"), "/in"), Folder(str(tmp_path / "out"), "/out", read_only=False)]
        ended, _ = self.run(daemon, container("sh", "-c", "cp /in/a /out/copy; touch /in/b", folders=folders), program)
        assert ended.code == 1
        assert (tmp_path / "out" / "copy").read_bytes() == b"content" and not (tmp_path / "in" / "b").exists()

    def test_more_memory_than_the_limit_is_told(self, daemon):
        code = "import os; hoard = bytearray(os.urandom(1 << 20)) * 400"
        asked = container("python3", "-c", code, memory=64 << 20)
        assert self.run(daemon, asked, lambda process: process.allocate(400 << 20)) == ((137, True), [])

    def test_a_program_that_is_asked_to_end_ends(self, daemon):
        def program(process):
            process.print("begun")
            return 143 if process.stopped.wait(30) else 1

        stop = Stop()
        asked = container("sh", "-c", "echo begun; exec sleep 600")
        ended, _ = self.run(daemon, asked, program, lambda _line: stop.ask(), stop)
        assert ended.code in (137, 143) and daemon.containers(MINE) == []

    def test_an_image_that_is_not_there_is_a_sentence(self, daemon):
        asked = Container(compose.service("data"), "nanoforge-nothing", ["true"])
        with pytest.raises(EnvironmentNotReady, match="failed while the contract ran.*No such image"):
            self.run(daemon, asked)

    def test_a_folder_that_is_not_there_is_a_sentence(self, daemon, tmp_path):
        with pytest.raises(EnvironmentNotReady, match="it sees no such folder"):
            self.run(daemon, container("true", folders=[Folder(str(tmp_path / "none"), "/in")]))

    def test_what_a_crash_left_is_swept_away_by_its_labels(self, daemon):
        left = daemon.create(container("true"))
        (found,) = daemon.containers({**MINE, "nanoforge": "1"})
        assert found.id == left and {**MINE, "nanoforge": "1"}.items() <= found.labels.items()
        assert daemon.containers({**MINE, "nanoforge.work": "another"}) == []
        assert sweep(daemon, MINE) == [left] and sweep(daemon, MINE) == []
        with pytest.raises(DaemonRefused):
            daemon.start(left)

    # --- volumes

    def test_a_volume_is_made_once_found_by_its_labels_and_kept_while_it_is_used(self, daemon, carrier):
        assert volumes.ensure(daemon, VOLUME, MINE) is False
        assert volumes.having(daemon, MINE) == [VOLUME] == volumes.having(daemon, {"nanoforge": "1", **MINE})
        assert volumes.having(daemon, {**MINE, "nanoforge.role": "another"}) == []
        volumes.discard(daemon, VOLUME)
        assert volumes.exists(daemon, VOLUME), "a container uses it"
        remove(daemon, carrier.identity)
        volumes.discard(daemon, VOLUME)
        volumes.discard(daemon, VOLUME)
        assert not volumes.exists(daemon, VOLUME)

    def test_small_files_are_written_and_read_in_a_container_that_never_runs(self, daemon, carrier):
        volumes.write(carrier, TARGET, {"a.json": b"{}", "empty": b""})
        assert volumes.read(carrier, f"{TARGET}/a.json") == b"{}"
        assert volumes.read(carrier, f"{TARGET}/empty") == b""
        assert volumes.read(carrier, f"{TARGET}/none") is None
        assert not volumes.marked(carrier, TARGET)

    def test_what_is_sent_is_listed_there_and_comes_back(self, daemon, carrier, tmp_path):
        contents = {"a.txt": b"a", "deep/er/b.bin": bytes(range(256)) * 5000, "empty": b""}
        for name, data in contents.items():
            path = tmp_path / "here" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        moved = []
        sent = volumes.send(carrier, TARGET, Content(tmp_path / "here", ALL_FILES), {}, moved.append)
        asking = container(folders=[Folder(VOLUME, TARGET)])
        assert volumes.listing(daemon, asking, [TARGET], Stop()) == {TARGET: sent}
        (tmp_path / "back").mkdir()
        volumes.fetch(carrier, TARGET, tmp_path / "back", sent, moved.append)
        back = {name: (tmp_path / "back" / name).read_bytes() for name in contents}
        assert back == contents and sum(moved) == 2 * sum(map(len, contents.values()))
        assert sent["a.txt"] == FarFile(1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")

    # --- images and the daemon itself

    def test_an_image_is_found_by_its_name_and_its_id(self, daemon):
        image = daemon.image(IMAGE)
        assert image.id.startswith("sha256:") and image.architecture == "amd64" and image.size > 0
        assert daemon.image(image.id) == image
        assert daemon.image("nanoforge-nothing") is None

    def test_an_image_is_built_named_saved_and_loaded(self, daemon, tmp_path):
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        lines = list(daemon.build(ImageBuild(TAG, tmp_path, "Dockerfile", labels={"a": "b"})))
        assert any(line.text.startswith("Step 1/") for line in lines) and not any(line.failed for line in lines)
        assert daemon.image(TAG).labels["a"] == "b"
        daemon.tag_image(TAG, "nanoforge-contract:2")
        assert daemon.image("nanoforge-contract:2").id == daemon.image(TAG).id
        archive = tmp_path / "image.tar"
        archive.write_bytes(b"".join(daemon.save_image(TAG)))
        with open(archive, "rb") as stream:
            assert [line.text.strip() for line in daemon.load_images(stream)] == [f"Loaded image: {TAG}"]

    def test_what_is_not_an_archive_is_told(self, daemon, tmp_path):
        (tmp_path / "x").write_bytes(b"nothing")
        with open(tmp_path / "x", "rb") as stream:
            assert [line.failed for line in daemon.load_images(stream)] == [True]

    def test_the_daemon_tells_of_itself(self, daemon):
        facts = daemon.facts()
        assert facts.architecture == "x86_64" and facts.cpus > 0 and facts.memory > 1 << 30
        assert "runc" in facts.runtimes and facts.time
