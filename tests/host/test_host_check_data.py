"""The command check-data: it consents for the records that it is to show, and that makes nothing stale."""

import pytest

from nanoforge import commands
from nanoforge.commands.options import StageOptions
from nanoforge.pipeline.plan import plan


@pytest.fixture
def asked(photos, monkeypatch):
    """What the command asks of a stage: its name, and the project with the command's overrides."""
    calls = []
    monkeypatch.setattr("nanoforge.commands.stages.run_stage", lambda stage, options: calls.append((stage, options)))
    commands.stages.check_data(StageOptions(str(photos.folder)))
    ((stage, options),) = calls
    return stage, options.project(stage)


def test_sick_records_have_a_page_too(asked):
    stage, project = asked
    assert stage == "check-data" and project.config.records.accept_losses


def test_the_consent_makes_nothing_stale(asked, photos):
    ours, theirs = plan(asked[1], "records")[-1], plan(photos.project(), "records")[-1]
    assert ours.fingerprint == theirs.fingerprint


def test_the_page_hangs_on_what_decides_the_anchors(photos):
    def row_and_context(*overrides):
        project = photos.project(*overrides)
        return project.stage("check-data"), project.context

    row, context = row_and_context("model.input_size=512", "model.depth_multiplier=0.25")
    assert row.parameters(context) == {"architecture": "ssd_mobilenet_v2", "input_size": [512, 512]}
    assert list(row.inputs(context)) == ["records"]
    row, context = row_and_context('model.pipeline_config="own.config"')
    assert list(row.inputs(context)) == ["records", "pipeline_config"]
