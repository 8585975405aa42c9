"""What is asked before a training: whether `convert` would take what comes out of it."""

import json

import pytest

from nanoforge.commands.options import StageOptions
from nanoforge.commands.stages import with_consents
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.paths import HOME
from nanoforge.pipeline.build import build
from nanoforge.pipeline.fingerprint import code_files
from nanoforge.pipeline.foresight import FORESEE, FORESIGHTS
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.stages import STAGES

OWN = 'model.pipeline_config="mine.config"'
REFUSAL = "convert would refuse what is trained by mine.config: softmax"


@pytest.fixture
def own(photos):
    photos.write("mine.config", "model { }")
    return photos


def test_of_an_own_config_is_asked_before_its_training_and_never_again(home, own):
    build(own.project(OWN), "train")
    assert home.ran() == ["records", "foresee", "train"]
    build(own.project(OWN), "train")
    assert home.ran() == []


@pytest.mark.parametrize("overrides", [(), (OWN, "train.anyway=true")])
def test_nothing_is_asked_of_a_generated_config_or_of_one_that_is_trained_anyway(home, own, overrides):
    build(own.project(*overrides), "train")
    assert home.ran() == ["records", "train"]


def test_a_training_that_would_be_in_vain_does_not_begin(home, own):
    home.behave(foresee={"bad_input": REFUSAL})
    with pytest.raises(BadInput, match=f"foresee: {REFUSAL}. Log: .*foresee-"):
        build(own.project(OWN), "train")
    assert home.ran() == ["records", "foresee"]
    assert REFUSAL in plan(own.project(OWN), "train")[-1].reasons[0]
    build(own.project(OWN, "train.anyway=true"), "train")
    assert home.ran() == ["train"]


@pytest.mark.parametrize("how", [{"fail": "no idea"}, {"crash": "oops"}, {"exit": 139}])
def test_a_question_that_breaks_is_told_and_stops_nothing(home, own, capfd, how):
    home.behave(foresee=how)
    build(own.project(OWN), "train")
    assert home.ran() == ["records", "foresee", "train"]
    told = capfd.readouterr().err
    assert "warning: train begins although the answer is not known: foresee" in told and "Log: " in told


def test_what_was_answered_is_not_asked_again_after_an_interruption_but_another_question_is(home, own):
    home.behave(train={"fail": "no more memory"})
    for override, ran in (
        ("train.keep_checkpoints=5", ["records", "foresee", "train"]),
        ("train.keep_checkpoints=5", ["train"]),
        ('convert.to="onnx"', ["foresee", "train"]),
        ('convert.to="onnx"', ["train"]),
    ):
        with pytest.raises(StageFailed):
            build(own.project(OWN, override), "train")
        assert home.ran() == ran


def test_it_is_given_what_the_three_stages_will_be(home, own):
    seen = own.folder / "seen.json"
    home.module("train").parent.parent.joinpath("foresee", "foresee.py").write_text(
        "import json\nfrom stages import job\n"
        f"def main(work):\n    json.dump([sorted(work.inputs), work.parameters], open({str(seen)!r}, 'w'))\n"
        "if __name__ == '__main__':\n    job.run(main)\n"
    )
    project = own.project(OWN, "export.max_detections=7")
    build(project, "train")
    inputs, parameters = json.loads(seen.read_text())
    assert inputs == ["pipeline_config", "records"]
    assert (
        parameters == {name: STAGES[name].parameters(project.context) for name in ("train", "export", "convert")}
        and parameters["export"]["max_detections"] == 7
    )
    work = project.store.work_folder("train", plan(project, "train")[-1].fingerprint)
    assert not work.exists()


def test_it_makes_no_training_stale(home, own):
    build(own.project(OWN), "train")
    home.ran()
    home.module("train").parent.parent.joinpath("foresee", "foresee.py").write_text("# another\n")
    for override in ("train.anyway=true", "train.anyway=false", 'convert.to="onnx"'):
        assert plan(own.project(OWN, override), "train")[-1].state == "fresh"


def test_no_training_hangs_on_the_code_of_its_foresight():
    def rooms(module):
        return {path.relative_to(HOME).parts[1] for path in code_files(module)}

    assert {"train"} < rooms(STAGES["train"].module) and not {"convert", "foresee"} & rooms(STAGES["train"].module)
    assert {"convert", "train", "foresee"} < rooms(FORESEE.program.module)


def test_what_is_read_is_an_input_of_its_stage(own):
    for stage, asked in FORESIGHTS.items():
        assert set(asked.reads) <= set(STAGES[stage].inputs(own.project(OWN).context))


@pytest.mark.parametrize("given", [(False, False), (True, False), (False, True), (True, True)])
def test_what_the_command_line_consents_to_is_heeded_and_makes_nothing_stale(home, own, given):
    options = with_consents(StageOptions(str(own.folder)), *given)
    config = options.project("train").config
    assert (config.records.accept_losses, config.train.anyway) == given
    before = plan(StageOptions(str(own.folder)).project("train"), "records")[-1].fingerprint
    assert plan(options.project("train"), "records")[-1].fingerprint == before
