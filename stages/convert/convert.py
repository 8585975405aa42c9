"""Stage: a frozen graph becomes a .uff for TensorRT, and ONNX if asked, with proof that they compute the same."""

import json
import os
from typing import Any, Callable, Dict, List, Optional, Union

import tensorflow as tf

from stages import pixels
from stages.convert.graph.analysis import Examined, Refused, analyse, beside
from stages.convert.graph.detector_parameters import DetectorParameters, plugins
from stages.convert.graph.findings import CONFIG
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.settings import class_names
from stages.convert.parity import pictures, verdict, worst
from stages.convert.parity.measure import Input
from stages.convert.uff import nvidia, plugin_graph, schema
from stages.convert.uff.lint import lint
from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import ConvertParameters
from stages.reference.interpreter import UffInterpreter

LEAST_PICTURES = 20
Drawing = Callable[[worst.View, Dict[str, Any]], None]


def main(job: Job) -> None:
    """Write ``model.uff``, ``model.json``, ``labels.txt``, ``parity.json``, ``worst.png`` and ``result.json``.

    With the parameter ``to`` = ``onnx``, ``model.onnx`` and ``model.boxes.onnx`` are written and proven too, the latter
    alone where TensorRT's plugins cannot run the graph. With the input ``nvidia_uff``, ``nvidia.uff`` is what NVIDIA's
    converter makes of it.

    Raises:
        BadInput: the graph is refused, or another input is not this graph's.
        StageFailed: a model does not compute what the graph does.
    """
    with job.reading(job.inputs["graph"]):
        to_onnx = job.read(ConvertParameters).to == "onnx"
        found = analyse(job.inputs["graph"], job.inputs.get("pipeline_config", ""), boxes_only=to_onnx)
        if isinstance(found, Refused):
            job.metrics(result=result(found, None))
            raise BadInput(found.reason)
        for finding in found.audit.findings:
            if finding["where"] == CONFIG:
                job.warn(finding["advice"])
        convert(job, found)


def convert(job: Job, examined: Examined) -> Dict[str, Any]:
    """Write the files of ``job``; returns what parity.json holds.

    Raises:
        BadInput: the label map or the pictures are not this graph's.
        StageFailed: a model does not compute what the graph does.
    """
    to_onnx = job.read(ConvertParameters).to == "onnx"
    label_map = job.inputs.get("label_map") or beside(job.inputs["graph"], "label_map.pbtxt")
    names, unused = class_names(label_map, examined.parameters.classes)
    if unused:
        job.warn(
            "%s names no class of the ids %s: what the model finds of these is never shown"
            % (os.path.basename(label_map), ", ".join(map(str, unused)))
        )
    write_models(job, examined, to_onnx)
    _write_json(job.out("model.json"), model(examined.parameters, names, unused, to_onnx))
    with open(job.out("labels.txt"), "w", encoding="utf-8") as stream:
        stream.write("\n".join(["BACKGROUND"] + names[1:]) + "\n")
    report = _proven(job, examined, _drawing(job, names), to_onnx)
    _write_json(job.out("parity.json"), report)
    _write_json(job.out("result.json"), result(examined, report))
    job.metrics(parity={key: report[key] for key in ("detections", "matched", "max_score_diff", "min_iou")})
    return report


def write_models(job: Job, examined: Examined, to_onnx: bool) -> None:
    """Write the models that can be made of an examined graph, unproven yet, as the output of ``job``.

    Raises:
        StageFailed: a parser of TensorRT would refuse one.
    """
    if examined.uff is not None:
        write_uff(examined, job.out("model.uff"))
    if to_onnx:
        from stages.convert.onnx import boxes, writer

        if examined.uff is not None:
            write_onnx(examined, writer.write, job.out("model.onnx"))
        write_onnx(examined, boxes.write, job.out("model.boxes.onnx"))


def _proven(job: Job, examined: Examined, draw: Drawing, to_onnx: bool) -> Dict[str, Any]:
    """What parity.json holds: the figures of the .uff, or where there can be none, of ``model.boxes.onnx``."""
    if examined.plugin_graph is None:
        if job.inputs.get("nvidia_uff"):
            job.warn("There is no .uff of this graph that NVIDIA's converter could be held against")
        report = compare_boxes(job, examined, draw)
        return dict(report, onnx_boxes=report)
    report = compare(job, verdict.Comparison(examined, UffInterpreter(job.out("model.uff"))), ".uff", draw)
    if to_onnx:
        report["onnx"] = compare_onnx(job, examined)
        report["onnx_boxes"] = compare_boxes(job, examined)
    if job.inputs.get("nvidia_uff"):
        report["nvidia"] = compare_nvidia(job, examined.plugin_graph, examined.uff)
    return report


def _refuse_broken(parser: str, broken: List[str]) -> None:
    if broken:
        raise StageFailed(
            "The %s parser would refuse the model: %s; please report this graph" % (parser, "; ".join(broken))
        )


def write_uff(examined: Examined, path: str) -> None:
    """Write the UFF file of an examined graph to ``path``.

    Raises:
        StageFailed: TensorRT's UFF parser would refuse it.
    """
    _refuse_broken("UFF", lint(examined.uff))
    with open(path, "wb") as stream:
        stream.write(schema.serialize(examined.uff))


def write_onnx(examined: Examined, write: Callable[..., Any], path: str) -> None:
    """Write the form that ``write`` makes of an examined graph to ``path``.

    Raises:
        StageFailed: TensorRT's ONNX parser would refuse it.
    """
    from stages.convert.onnx import lint

    made = write(examined.graph, examined.structure, examined.parameters)
    _refuse_broken("ONNX", lint.lint(made))
    with open(path, "wb") as stream:
        stream.write(made.SerializeToString(deterministic=True))


def compare_onnx(job: Job, examined: Examined) -> Dict[str, Any]:
    """:func:`compare` for ``model.onnx``, which onnxruntime runs up to its plugin."""
    from stages.convert.onnx.runtime import OnnxRuntime

    return compare(job, verdict.Comparison(examined, OnnxRuntime(job.out("model.onnx"))), ".onnx")


def compare_boxes(job: Job, examined: Examined, draw: Optional[Drawing] = None) -> Dict[str, Any]:
    """:func:`compare` for ``model.boxes.onnx``, which onnxruntime runs; suppression is the one of ``detect``."""
    from stages.convert.onnx.runtime import BoxesRuntime

    runtime = BoxesRuntime(job.out("model.boxes.onnx"), plugins(examined.parameters)["NMS_TRT"])
    return compare(job, verdict.BoxesComparison(examined, runtime), ".boxes.onnx", draw)


def compare_nvidia(job: Job, graph: Graph, uff: Any) -> Dict[str, Any]:
    """What NVIDIA's converter, the input ``nvidia_uff``, makes otherwise; it warns where that is something.

    Args:
        graph, uff: with plugins, as :class:`Examined` has them.
    """
    opinion = nvidia.second_opinion(graph, [plugin_graph.NMS], uff, job.inputs["nvidia_uff"], job.out("nvidia.uff"))
    if opinion["differences"]:
        job.warn(
            "NVIDIA's converter differs in %d places, the first: %s"
            % (len(opinion["differences"]), opinion["differences"][0])
        )
    return opinion


def _drawing(job: Job, names: List[str]) -> Drawing:
    """What draws the worst case of a comparison into ``worst.png``."""

    def draw(view: worst.View, report: Dict[str, Any]) -> None:
        drawn = worst.draw(view, report["worst"].get("box"), names, verdict.LEAST_SCORE)
        with open(job.out("worst.png"), "wb") as stream:
            stream.write(pixels.encode_png(drawn))

    return draw


def compare(job: Job, comparison: verdict.Comparison, name: str, draw: Optional[Drawing] = None) -> Dict[str, Any]:
    """Hold a model against its graph on pictures; returns what parity.json holds.

    Raises:
        StageFailed: they differ; ``name`` says which model it is.
    """
    chosen = choose_pictures(job, comparison.input)
    for number, picture in enumerate(chosen, 1):
        comparison.add(picture)
        job.progress(number, len(chosen), "parity of the " + name)
    report = comparison.report()
    if draw and comparison.view:
        draw(comparison.view, report)
    if report["failures"]:
        first = report["worst"]
        raise StageFailed(
            "The %s does not compute what the graph does: %d differences on %d pictures, the "
            "first on picture %s, %s; please report this graph"
            % (name, len(report["failures"]), report["pictures"], first["picture"], describe(first))
        )
    if not report["detections"]:
        job.warn(
            "TensorFlow detects nothing with score over %g on the %d pictures: parity rests on heads and "
            "boxes alone" % (verdict.LEAST_SCORE, report["pictures"])
        )
    return report


def choose_pictures(job: Job, size: Input) -> List[pictures.ProofPicture]:
    """At least 20 pictures: from ``records``, else from the folder ``pictures``, else seeded noise."""
    count = max(LEAST_PICTURES, job.read(ConvertParameters).parity_pictures)
    for name, source in (("records", pictures.from_records), ("pictures", pictures.from_folder)):
        if job.inputs.get(name):
            return source(job.inputs[name], count, size.height, size.width)
    return pictures.of_noise(count, size.height, size.width)


def describe(case: Dict[str, Any]) -> str:
    """One failure of the parity report in words."""
    if "box" not in case:
        return str(case["what"])
    return "class %d with score %.4f at %s %s" % (
        case["class_id"],
        case["score"],
        [round(edge, 4) for edge in case["box"]],
        case["what"],
    )


def model(parameters: DetectorParameters, names: List[str], unused: List[int], has_boxes: bool) -> Dict[str, Any]:
    """Everything that a runtime needs, as model.json holds it."""
    size, outputs = parameters.input, {"detections": plugin_graph.NMS, "count": plugin_graph.NMS + "_1"}
    if has_boxes:
        outputs.update(boxes="boxes", scores="scores")
    return {
        "format": 1,
        "classes": names,
        **({"unused": unused} if unused else {}),
        "anchors": len(parameters.anchors),
        "plugin": plugins(parameters),
        "input": {
            "name": plugin_graph.INPUT,
            "shape": [3, size.height, size.width],
            "channels": size.channels,
            "scale": size.scale,
            "offset": size.offset,
        },
        "outputs": outputs,
        "feature_maps": [[layer.height, layer.width] for layer in parameters.layers],
        "tensorflow": tf.__version__,
    }


def result(found: Union[Refused, Examined], report: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """What the command prints with --json; ``parity`` and the models' files are null for a refused graph."""
    return {
        "verdict": found.audit.verdict,
        "findings": found.audit.findings,
        "plugin": plugins(found.parameters) if found.parameters else {},
        "parity": report,
        "uff": "model.uff" if report and getattr(found, "uff", None) is not None else None,
        "onnx": "model.onnx" if report and "onnx" in report else None,
        "onnx_boxes": "model.boxes.onnx" if report and "onnx_boxes" in report else None,
    }


def _write_json(path: str, value: Any) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.write("\n")


if __name__ == "__main__":
    run(main)
