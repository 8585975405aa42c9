"""Aids: a stage is offered what spares it work; they are in no recipe, so nothing is stale because of them."""

import json
import shutil

import pytest

from nanoforge.commands.cleanup import gc
from nanoforge.files.digests import sha256_text
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import FRESH, plan
from nanoforge.runners.local import LocalRunner

NEW = "photos/JPEGImages/d.jpg"


def made(photos, *overrides):
    return build(photos.project(*overrides), "records")


def with_another_photo(photos):
    photos.write(NEW, "pixels of d")
    return made(photos)


def test_digests_are_those_of_the_inputs_files_and_a_first_run_has_no_earlier_artifact(home, photos):
    photos.write("photos/JPEGImages/deep/e.png", "pixels of e")
    made(photos)
    assert home.aids() == {
        "digests": {
            "photos": {
                **{f"{name}.jpg": sha256_text(f"pixels of {name}") for name in "abc"},
                "deep/e.png": sha256_text("pixels of e"),
            },
            "annotations": {f"{name}.xml": sha256_text(f"boxes of {name}") for name in "abc"},
        }
    }


def test_names_that_are_not_utf8_and_those_with_line_breaks_are_digested_too(home, photos):
    for name in ("\udcff.jpg", "a\nb.jpg", '"\\.jpg'):
        photos.write(f"photos/JPEGImages/{name}", name.encode("ascii", "replace").decode())
    made(photos)
    assert {"\udcff.jpg", "a\nb.jpg", '"\\.jpg'} < home.aids()["digests"]["photos"].keys()


def test_digests_of_what_another_stage_made_are_those_of_its_record(home, photos):
    photos.write("detector.toml", '[dataset]\nrendered_pictures = 20\nclasses = ["cat"]\n')
    made(photos)
    x = {"a.xml": sha256_text("x")}
    assert home.aids()["digests"] == {"photos": x, "annotations": x}


def test_the_earlier_artifact_is_offered_and_is_no_part_of_how_the_new_one_came_to_be(home, photos):
    first = made(photos)
    second = with_another_photo(photos)
    assert home.aids()["earlier"] == str(first.folder)
    assert set(second.recipe["inputs"]) == {"photos", "annotations"}
    assert second.record["aids"] == {"earlier": first.digest} and not first.record["aids"]
    provenance = json.loads((second.folder / "provenance.json").read_text())["predicate"]["buildDefinition"]
    assert provenance["internalParameters"]["aids"] == [{"name": "earlier", "digest": {"sha256": first.digest}}]
    assert not [one for one in provenance["resolvedDependencies"] if first.digest in one["digest"].values()]
    shutil.rmtree(first.folder)
    assert plan(photos.project(), "records")[-1].state == FRESH


def test_the_same_comes_out_with_aids_and_without(home, photos):
    made(photos)
    helped = with_another_photo(photos)
    shutil.rmtree(photos.folder / "build")
    assert made(photos).digest == helped.digest and "earlier" not in home.aids()


def test_gc_keeps_what_is_current_and_that_is_offered_next(home, photos):
    made(photos)
    second = with_another_photo(photos)
    gc(str(photos.folder), dry_run=False, host="")
    photos.write("photos/JPEGImages/e.jpg", "pixels of e")
    made(photos)
    assert home.aids()["earlier"] == str(second.folder)


def test_of_several_one_of_the_same_parameters_is_offered(home, photos):
    first = made(photos)
    made(photos, "records.seed=8")
    assert home.aids()["earlier"] == str(first.folder)
    with_another_photo(photos)
    assert home.aids()["earlier"] == str(first.folder)


def test_what_other_code_made_is_not_offered(home, photos):
    made(photos)
    module = home.module("records")
    module.write_text(module.read_text() + "# other\n")
    with_another_photo(photos)
    assert "earlier" not in home.aids()


@pytest.mark.parametrize("damage", ["other", ""])
def test_what_is_damaged_is_not_offered(home, photos, damage):
    file = made(photos).folder / "out.txt"
    file.chmod(0o600)
    file.write_text(damage) if damage else file.unlink()
    with_another_photo(photos)
    assert "earlier" not in home.aids()


def test_what_verify_found_damaged_is_not_offered(home, photos):
    first = made(photos)
    photos.project().notes.note_verification("records", first.fingerprint, sound=False)
    with_another_photo(photos)
    assert "earlier" not in home.aids()


def test_a_stage_far_away_is_sent_nothing_that_it_can_do_without(home, photos, monkeypatch):
    monkeypatch.setattr(LocalRunner, "shares_files", False)
    made(photos)
    assert with_another_photo(photos).record["aids"] == {} == home.aids()


def test_stages_that_have_no_use_for_aids_get_none(home, photos):
    build(photos.project(), "train")
    assert home.aids() == {}
