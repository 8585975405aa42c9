"""The row check-data: what its page hangs on."""


def test_the_page_hangs_on_what_decides_the_anchors(photos):
    def row_and_context(*overrides):
        project = photos.project(*overrides)
        return project.stage("check-data"), project.context

    row, context = row_and_context("model.input_size=512", "model.depth_multiplier=0.25")
    assert row.parameters(context) == {"architecture": "ssd_mobilenet_v2", "input_size": [512, 512]}
    assert list(row.inputs(context)) == ["records"]
    row, context = row_and_context('model.pipeline_config="own.config"')
    assert list(row.inputs(context)) == ["records", "pipeline_config"]
