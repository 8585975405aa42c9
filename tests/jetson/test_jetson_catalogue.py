"""Forty-nine failures that people reported of SSDs on a Jetson: what caused each, in small, and what becomes of it now.

A row is a test here (``test_row_NN_…``, or one of UNSUPPORTED), one or more elsewhere (``ELSEWHERE``), or left out with
its reason (``LEFT_OUT``). The simulated parser stands for TensorRT, with the words that were reported.
"""

import json
import os
import re

import numpy as np
import pytest
from tensorrt.network import Network, Refused
from tensorrt.uff_parser import Parse

from stages.convert.uff import schema
from stages.convert.uff.lint import lint
from stages.detect import description
from stages.jetson import board, build_log, jetson_inference
from stages.jetson.jetson_inference import DetectNetModel
from stages.jetson.jetson_inference_release import InferenceRelease
from stages.job import BadInput
from stages.reference import uff
from tests.fakes import probes
from tests.fakes.probes import Probe

CLONE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Row: an operation that a converter left in the file, because its table has none for it.
UNSUPPORTED = {
    1: "_Cast",
    7: "_FusedBatchNormV3",
    8: "_AddV2",
    18: "_Fill",
    25: "_ResizeNearestNeighbor",
    37: "_Switch",
}
CONVERT, JETSON = "tests/convert/test_convert_%s.py::", "tests/jetson/test_jetson_%s.py::"
NAMES = CONVERT % "analysis" + "test_names_and_order_of_nodes_do_not_count"
ENGINES = JETSON % "generations" + "test_every_version_builds_and_runs_the_same_detector"
WRONG = JETSON % "build_engine" + "test_what_goes_wrong_is_one_sentence_and_leaves_no_engine"
# Row: its short name, and where it is tested. For rows that are here too, what becomes of the graph before.
ELSEWHERE = {
    1: ("Cast in the preprocessor", [CONVERT % "repair" + "test_a_graph_of_115_gives_the_same_uff_as_its_112_twin"]),
    2: ("KeyError image_tensor", [NAMES]),
    7: ("FusedBatchNormV3", [CONVERT % "repair" + "test_repair_undoes_ageing_but_for_the_suppressions_scores"]),
    8: ("AddV2", [CONVERT % "repair" + "test_repair_undoes_ageing_but_for_the_suppressions_scores"]),
    13: (
        "FlattenConcat_TRT not loaded before the engine",
        [ENGINES, JETSON % "generations" + "test_a_version_without_flatten_concat_says_where_it_comes_from"],
    ),
    15: ("builder attributes that TensorRT 8 removed", [ENGINES]),
    16: (
        "engine of another version or device",
        [
            JETSON % "build_engine" + "test_an_engine_of_another_board_is_refused_before_it_is_loaded",
            JETSON % "generations" + "test_an_engine_of_elsewhere_is_refused",
        ],
    ),
    21: ("segfault while building", [WRONG]),
    22: ("anchor scales of another training", [CONVERT % "analysis" + "test_a_config_of_another_graph_is_refused"]),
    23: (
        "hundreds of boxes: sigmoid or threshold",
        [
            CONVERT % "analysis" + "test_parameters_are_those_of_the_pipeline",
            CONVERT % "analysis" + "test_scaled_logits_are_refused",
        ],
    ),
    24: (
        "boxes wrong where the input is not square",
        [CONVERT % "analysis" + "test_anchors_that_the_plugin_cannot_make_become_a_constant"],
    ),
    25: ("FPN and shared predictors", [CONVERT % "analysis" + "test_shared_predictors_are_refused"]),
    26: ("killed for its memory", [WRONG]),
    27: ("node not found in graph", [NAMES]),
    31: ("RGB and BGR", [JETSON % "swap_channels" + "test_the_detections_are_the_same"]),
    33: (
        "wrong arguments",
        [
            "tests/host/test_host_config.py::test_an_unknown_section_is_named_with_those_that_there_are",
            "tests/host/test_host_stages.py::test_an_unknown_stage_is_told_with_the_known_ones",
        ],
    ),
    34: (
        "--network loads another model",
        [JETSON % "install" + "test_the_name_of_another_network_is_refused_whatever_its_case"],
    ),
    35: ("labels shifted by one", [JETSON % "install" + "test_detectnet_reads_the_names_back"]),
    37: ("a graph made for training", [CONVERT % "files" + "test_training_graph_is_refused"]),
    38: ("settings on the builder are ignored", [ENGINES]),
    39: (
        "score threshold of the frozen graph",
        ["tests/train/test_train_stages.py::test_export_says_what_it_froze_and_heeds_the_thresholds"],
    ),
    40: ("INT8 on a Nano", [WRONG]),
    41: ("engine cut or written as text", [JETSON % "build_engine" + "test_an_engine_that_is_not_whole_is_refused"]),
    42: (
        "surgery for another exporter",
        [
            CONVERT % "repair" + "test_a_graph_of_115_gives_the_same_uff_as_its_112_twin",
            CONVERT % "analysis" + "test_architectures_convert_with_and_without_config",
        ],
    ),
    43: ("a damaged .pb", [CONVERT % "files" + "test_other_files_are_named_for_what_they_are"]),
    44: (
        "engine built at every start",
        [
            JETSON % "install" + "test_check_names_what_is_wrong",
            JETSON % "install" + "test_a_folder_that_cannot_be_written_says_how_to_make_it_ones_own",
        ],
    ),
    45: (
        "old engine after the .uff was replaced",
        [
            JETSON % "install" + "test_an_older_release_gets_it_in_place_of_its_own",
            JETSON % "install" + "test_installing_another_model_removes_the_engine",
        ],
    ),
    48: ("parse failure ignored", [JETSON % "generations" + "test_a_uff_that_the_parser_refuses_is_bad_input"]),
    49: ("484 nodes instead of 486", [NAMES, CONVERT % "analysis" + "test_names_of_loops_do_not_count_either"]),
}
LEFT_OUT = {
    36: "libseccomp of JetPack 4.6 and a newer Docker: a fault of the board's packages that no program of ours meets",
    46: "10 frames a second instead of 22: no cause was found; bench-engine tells network, whole and power mode apart",
}


@pytest.fixture
def meta(detector):
    """The tests' detector, as the converter writes it."""
    made = schema.meta_graph()
    with open(detector, "rb") as stream:
        made.ParseFromString(stream.read())
    for one in made.graphs[0].nodes:
        if one.operation.startswith("_"):
            one.fields["dtype"].dtype = schema.FLOAT32
    assert lint(made) == [] and refusal(made) is None
    return made


def node(meta, name):
    return next(one for one in meta.graphs[0].nodes if one.id == name)


def refusal(meta, size=(3, 64, 64), name="Input"):
    """What the simulated parser says where it refuses."""
    try:
        Parse(schema.serialize(meta), Network(), {name: size}, ["MarkOutput_0"], (8, 5, 3), lambda words: None)
    except Refused as error:
        return str(error)
    return None


def told(meta, words):
    """Whether the linter says so, with the versions."""
    return any(words in finding and "[TensorRT " in finding for finding in lint(meta))


@pytest.mark.parametrize(
    "row, operation", UNSUPPORTED.items(), ids=["row_%02d%s" % item for item in UNSUPPORTED.items()]
)
def test_unsupported_operation(meta, row, operation):
    one = next(one for one in meta.graphs[0].nodes if one.operation == "Activation")
    one.operation = operation
    assert refusal(meta) == "UffParser: Validator error: %s: Unsupported operation %s" % (one.id, operation)
    assert told(meta, "unsupported operation")


def test_row_03_num_classes_without_background(meta):
    node(meta, "NMS").fields["numClasses_u_int"].i = 3
    assert "nmsPlugin.cpp,249" in refusal(meta) and told(meta, "numPriors * numClasses")


def test_row_04_feature_maps_of_another_size(meta):
    node(meta, "GridAnchor").fields["featureMapShapes_u_ilist"].i_list.val[0] = 5
    assert "nmsPlugin.cpp,246" in refusal(meta) and told(meta, "numPriors * 4")


def test_row_05_an_input_of_nms_is_missing(meta):
    node(meta, "NMS").inputs.pop()
    assert "nbInputDims == 3" in refusal(meta) and told(meta, "it needs three inputs")


def test_row_06_grid_anchor_without_input(meta):
    node(meta, "GridAnchor").inputs.pop()
    assert refusal(meta) is None and told(meta, "it has no input [TensorRT 5.1 and 6.0: ends the process]")


def test_row_09_two_open_dimensions(meta):
    constant = node(meta, node(meta, "box0/reshape").inputs[1])
    data = meta.referenced_data[constant.fields["values"].ref]
    data.blob = np.array([-1, -1, 1, 4], np.int32).tobytes()
    assert told(meta, "-1 is given 2 times [TensorRT before 8.5: refused]")


def test_row_10_squeeze_before_nms(meta):
    meta.graphs[0].nodes.add(id="squeezed", operation="Squeeze", inputs=["concat_box_loc"])
    node(meta, "NMS").inputs[0] = "squeezed"
    assert told(meta, "its inputs are not two FlattenConcat_TRT")


def test_row_11_plugin_without_dtype(meta):
    del node(meta, "NMS").fields["dtype"]
    assert told(meta, "dtype is missing")


def test_row_12_a_plugin_that_is_there_twice_is_no_failure():
    heard = build_log.Progress()
    for line in (
        "[TensorRT] ERROR: Could not register plugin creator:  FlattenConcat_TRT in namespace: ",
        "[TensorRT] ERROR: ../builder/tacticOptimizer.cpp (1523) - TRTInternal Error in computeCosts: 0",
    ):
        heard.hear(line)
    assert "computeCosts" in heard.reason() and "register" not in heard.reason()


def test_row_14_flatten_concat_without_axis(meta):
    del node(meta, "concat_box_loc").fields["axis_u_int"]
    assert told(meta, "field axis is missing")


def test_row_17_and_28_nvidias_python_packages_are_not_imported():
    """``No module named 'uff'``, ``'str' object has no attribute 'name'``: the format is written without them."""
    found = set()
    for folder, _, names in os.walk(os.path.join(CLONE, "stages")):
        for name in [name for name in names if name.endswith(".py")]:
            with open(os.path.join(folder, name), encoding="utf-8") as stream:
                found |= set(re.findall(r"^ *(?:import|from) (\w+)", stream.read(), re.MULTILINE))
    assert "numpy" in found and not found & {"uff", "graphsurgeon"}


def place(tmp_path, listed):
    networks = tmp_path / "networks"
    networks.mkdir(exist_ok=True)
    if listed:
        (networks / "models.json").write_text('{"detection": {}}')
    return jetson_inference.place(InferenceRelease(str(networks), listed, True, listed, True), "cones", MODEL)


MODEL = DetectNetModel(
    b"uff", jetson_inference.labels_file(["background", "cone"]), "Input", [3, 300, 300], "NMS", "NMS_1"
)


@pytest.mark.parametrize("listed", [True, False])
def test_row_19_and_20_detectnet_is_never_given_a_uff_and_blob_names(tmp_path, listed):
    """``--model=x.uff`` gives the parser an input of (1, 1, 1), and ``data``, ``coverage`` and ``bboxes`` for names."""
    where = place(tmp_path, listed)
    commands = jetson_inference.commands(where)
    assert all("--network=" in line and not re.search("--model|--input|--output|uff", line) for line in commands)
    jetson_inference.install(where, MODEL)
    if listed:
        entry = json.loads((tmp_path / "networks" / "models.json").read_text())["detection"]["cones"]
        assert entry["input_dims"] == [3, 300, 300]
        assert [entry["input"], *sorted(entry["output"].values())] == ["Input", "NMS", "NMS_1"]


def test_row_26_too_little_memory_is_told_before():
    words = " ".join(board.advice(board.Memory(3956, 800, 100, 0), 1200))
    assert "800 MB of memory and swap are free" in words and "swapon" in words and "desktop" in words


@pytest.mark.parametrize("shape", [[64, 64, 3], [1, 3, 64, 64]])
def test_row_29_registered_channels_last_or_with_its_batch(tmp_path, shape):
    described = {
        "input": {"name": "Input", "shape": shape, "channels": "RGB", "scale": 2 / 255, "offset": -1.0},
        "outputs": {"detections": "NMS", "count": "NMS_1"},
        "classes": ["background", "cone"],
    }
    (tmp_path / "model.json").write_text(json.dumps(described))
    with pytest.raises(BadInput, match="does not describe a model"):
        description.read(str(tmp_path))


def test_row_30_registered_under_another_name(meta):
    assert refusal(meta, name="image_tensor") == "UffParser: Input Input was not registered"


def test_row_32_both_outputs_come_out(meta):
    network = Network()
    Parse(schema.serialize(meta), network, {"Input": (3, 64, 64)}, ["MarkOutput_0"], (8, 5, 3), lambda words: None)
    assert [one.name for one in network.outputs] == ["NMS", "NMS_1"]


def test_row_35_the_background_has_the_first_line():
    assert MODEL.labels.splitlines() == [b"BACKGROUND", b"cone"]


@pytest.mark.parametrize("data", [b"version https://git-lfs.github.com/spec/v1\noid sha256:0", b"\x00" * 9])
def test_row_43_a_damaged_uff(data):
    with pytest.raises(BadInput, match="is not a UFF file: .*(Git LFS|00000000)"):
        uff.parse(data, "model.uff")


def test_row_47_max_with_a_constant():
    probe = Probe()
    made = probe.marked(*probes.binary("max", 0.5)(probe))
    assert "Unsupported binary op max with constant right" in refusal(made, (3, 8, 10))
    assert told(made, "max with a constant is refused")


def rows_here():
    """Row numbers of the tests in this file."""
    found = list(UNSUPPORTED)
    for name in globals():
        if name.startswith("test_row_"):
            found += [int(number) for number in re.findall(r"_(?:row|and)_(\d\d)(?=_)", name)]
    return set(found)


def test_every_row_is_tested_or_left_out_with_a_reason():
    assert rows_here() | set(ELSEWHERE) | set(LEFT_OUT) == set(range(1, 50))
    assert not set(LEFT_OUT) & (rows_here() | set(ELSEWHERE))
    assert len(rows_here() | set(ELSEWHERE)) >= 40


def test_what_is_left_out_is_told_in_the_docs():
    with open(os.path.join(CLONE, "docs", "errors.md"), encoding="utf-8") as page:
        told_there = page.read()
    assert [row for row, reason in LEFT_OUT.items() if reason.split(":")[0].split(" ")[0] not in told_there] == []


@pytest.mark.parametrize("row", sorted(ELSEWHERE))
def test_what_is_tested_elsewhere_is_there(row):
    for test in ELSEWHERE[row][1]:
        path, name = test.split("::")
        with open(os.path.join(CLONE, path), encoding="utf-8") as stream:
            assert "\ndef %s(" % name in stream.read(), test
