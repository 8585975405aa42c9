"""The store cut at every change of the disk: what is found then is old or new and whole, and the next try works."""

import os
import shutil

import pytest
from host_cuts import every_cut
from host_store import fingerprint, output, publish, store_in

from nanoforge.files.digests import DigestCache
from nanoforge.store.folders import discard

OLD, NEW = 1, 2


class Bench:
    """A store to be set up anew for each cut."""

    def __init__(self, folder, elsewhere, digests):
        self.folder = folder
        self._digests = digests
        self._elsewhere = {"records": folder / "disk"} if elsewhere else {}

    def reset(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "disk" / "lost+found").mkdir(parents=True)
        store = self.store()
        store.use("records", publish(store, seed=OLD, files={"a.txt": "old"}))

    def store(self):
        return store_in(self.folder / "build", digests=self._digests, **self._elsewhere)

    def whole(self, seed):
        """Whether the artifact is there and sound; nothing that is not may be found."""
        store = self.store()
        found = store.find("records", fingerprint(seed=seed))
        assert store.unusable("records", fingerprint(seed=seed)) is None
        assert not found or store.damage(found, thorough=True) is None
        return bool(found)

    def names(self):
        return sorted(path.name for path in self.store().folders.own("records"))


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """Out of the way of the cuts; and nothing waits for the disk hundreds of times."""
    monkeypatch.setattr(os, "fsync", lambda _number: None)
    return DigestCache(tmp_path / "digests", pytest.fail)


@pytest.fixture(params=[False, True], ids=["inside", "elsewhere"])
def bench(tmp_path, request, digests):
    return Bench(tmp_path / "bench", request.param, digests)


@pytest.fixture(params=[True, False], ids=["killed", "disk full"])
def kill(request):
    return request.param


def make_new(bench):
    store = bench.store()
    store.use("records", publish(store, seed=NEW, files={"a.txt": "new", "deep/b.txt": "more"}))


def test_making_an_artifact(bench, kill, monkeypatch):
    bench.reset()
    for at in every_cut(monkeypatch, bench.folder, kill, lambda: make_new(bench)):
        assert bench.whole(OLD), at
        bench.whole(NEW)
        assert bench.store().latest("records").record["recipe"]["parameters"]["seed"] in (OLD, NEW)
        make_new(bench)
        assert bench.whole(NEW) and bench.store().latest("records").folder.name == fingerprint(seed=NEW)[:20]
        assert bench.names() == sorted(fingerprint(seed=seed)[:20] for seed in (OLD, NEW))
        assert not (bench.folder / "build" / ".records.link").is_symlink()
        bench.reset()
    assert at > 15


def test_making_the_first_artifact(bench, kill, monkeypatch):
    shutil.rmtree(bench.folder, ignore_errors=True)
    for _ in every_cut(monkeypatch, bench.folder, kill, lambda: make_new(bench)):
        bench.whole(NEW)
        make_new(bench)
        assert bench.whole(NEW) and len(bench.names()) == 1
        shutil.rmtree(bench.folder)


def test_putting_a_sound_artifact_in_the_place_of_a_damaged_one(bench, kill, monkeypatch):
    def damage():
        bench.reset()
        file = bench.store().latest("records").folder / "a.txt"
        os.chmod(file, 0o644)
        file.write_text("damaged")

    def mend():
        publish(bench.store(), seed=OLD, files={"a.txt": "old"})

    damage()
    for _ in every_cut(monkeypatch, bench.folder, kill, mend):
        store = bench.store()
        found = store.find("records", fingerprint(seed=OLD))
        assert not found or (found.folder / "a.txt").read_text() in ("old", "damaged")
        mend()
        assert bench.whole(OLD) and bench.names() == [fingerprint(seed=OLD)[:20]]
        damage()


def clean(bench):
    store = bench.store()
    for folder in store.folders.own("records"):
        discard(folder)
    store.folders.drop_empty("records")
    store.forget_lost("records")


def test_removing_everything(bench, kill, monkeypatch):
    def fill():
        bench.reset()
        output(bench.store(), seed=NEW)

    fill()
    for _ in every_cut(monkeypatch, bench.folder, kill, lambda: clean(bench)):
        bench.whole(OLD)
        clean(bench)
        assert bench.names() == [] and not (bench.folder / "build" / "records").is_symlink()
        assert os.listdir(bench.folder / "disk") == ["lost+found"]
        fill()


def test_a_project_that_moved(tmp_path, kill, monkeypatch, digests):
    disk = tmp_path / "disk"

    def fill():
        for name in ("old", "new", "disk"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        store = store_in(tmp_path / "old" / "build", f"here:{tmp_path}/old", digests, records=disk)
        store.use("records", publish(store))
        (tmp_path / "old").rename(tmp_path / "new")

    def moved():
        return store_in(tmp_path / "new" / "build", f"here:{tmp_path}/new", digests, records=disk)

    fill()
    for _ in every_cut(monkeypatch, tmp_path, kill, lambda: moved().prepare(["records"])):
        assert moved().find("records", fingerprint())
        moved().prepare(["records"])
        assert moved().find("records", fingerprint()) and len(os.listdir(disk)) == 1
        fill()
