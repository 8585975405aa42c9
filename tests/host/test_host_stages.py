"""The stage table: what every stage is given comes from detector.toml, in the types that host and stage share."""

import inspect
import re
from typing import Dict, List, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest

import stages.parameters
from nanoforge.config.schema import Config, keys
from nanoforge.errors import BadInput
from nanoforge.pipeline import stages as table
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import STAGES, TABLE, stage_called

DECLARATIONS = {
    re.sub("(?<!^)(?=[A-Z])", "-", name.replace("Parameters", "")).lower(): found
    for name, found in inspect.getmembers(stages.parameters, inspect.isclass)
    if hasattr(found, "_fields")
}
# What the table derives instead of taking a key as it stands: sizes that may be one number, a path's last part, a text.
DERIVED = {"image_size", "input_size", "start_checkpoint", "title", "pictures of render"}


@pytest.fixture
def context(tmp_path):
    return StageContext(Config(), tmp_path)


def test_a_stages_job_holds_what_is_declared_for_it(context):
    for stage in TABLE:
        declared = DECLARATIONS.get(stage.name)
        assert list(stage.parameters(context)) == (list(declared._fields) if declared else []), stage.name


def test_every_declaration_is_some_stages(context):
    no_stages = {"run-uff", "live", "install", "foresee", "survey", "import", "to-coco"}
    assert set(DECLARATIONS) - set(STAGES) == no_stages


def test_a_parameter_has_the_type_of_its_key():
    types = {}
    for key in keys():
        types.setdefault(key.name, set()).add(plain(key.type))
    for stage, declaration in DECLARATIONS.items():
        for name, kind in get_type_hints(declaration).items():
            if name in types and not DERIVED & {name, f"{name} of {stage}"}:
                assert kind in types[name], (stage, name)


def plain(annotated):
    """A key's type without its limits; a Literal is the type of its words."""
    kind = annotated.__origin__ if hasattr(annotated, "__metadata__") else annotated
    if get_origin(kind) is dict:
        return Dict[str, plain(get_args(kind)[1])]
    return type(get_args(kind)[0]) if get_origin(kind) is Literal else kind


def test_a_parameter_that_no_section_has_is_found_when_the_table_is_made():
    class Mistyped(NamedTuple):
        stpes: int

    with pytest.raises(TypeError, match="stpes is a key of 0 of the sections train"):
        table._filled(Mistyped, "train")


@pytest.mark.parametrize(("size", "both"), [(300, [300, 300]), ([192, 320], [192, 320]), ([224], [224, 224])])
def test_a_size_is_height_and_width(size: Union[int, List[int]], both):
    assert table.size_of(size) == both


def test_records_are_as_large_as_the_network_unless_told(tmp_path):
    def sizes(**records):
        config = Config(model=type(Config().model)(input_size=192), records=type(Config().records)(**records))
        return STAGES["records"].parameters(StageContext(config, tmp_path))["image_size"]

    assert sizes() == [192, 192]
    assert sizes(image_size=[100, 200]) == [100, 200]


def test_a_short_trial_reaches_its_full_rate(tmp_path):
    section = type(Config().train)
    warmups = [
        STAGES["train"].parameters(StageContext(Config(train=section(steps=steps)), tmp_path))["warmup_steps"]
        for steps in (20, 20000)
    ]
    assert warmups == [4, 500]


def test_how_often_is_evaluated_follows_the_steps_unless_it_is_stated(tmp_path):
    section = type(Config().train)
    found = [
        STAGES["train"].parameters(StageContext(Config(train=one), tmp_path))["evaluate_every"]
        for one in (
            section(steps=20000),
            section(steps=2000),
            section(steps=20),
            section(steps=20000, evaluate_every=7),
        )
    ]
    assert found == [2000, 500, 500, 7]


def test_only_what_a_project_wants_elsewhere_is_kept_elsewhere(context, tmp_path):
    assert [stage.name for stage in TABLE if stage.folder(context)] == []
    config = Config(records=type(Config().records)(folder="disk"))
    kept = {stage.name: stage.folder(StageContext(config, tmp_path)) for stage in TABLE}
    assert {name: folder for name, folder in kept.items() if folder} == {"records": tmp_path / "disk"}


def test_an_unknown_stage_is_told_with_the_known_ones():
    with pytest.raises(BadInput, match="Unknown stage trian: stages are render, resize, records"):
        stage_called("trian")
