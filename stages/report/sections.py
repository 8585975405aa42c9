"""What each section of the report says: one function per artifact, from its files to the values the page shows."""

import os
from typing import Any, Dict, List, Optional

import numpy as np

from stages.pages.artifact import Artifact
from stages.report import plots
from stages.report.pictures import sample_pictures, thumbnail

MOST_FINDINGS = 500
SLOWEST_LAYERS = 10
UFF, BOXES = "model.uff", "model.boxes.onnx"  # the latter alone where scores come from a softmax
PARITY_KEYS = (
    "pictures",
    "detections",
    "matched",
    "max_score_diff",
    "min_iou",
    "heads",
    "anchors",
    "decoded",
    "excused",
    "mAP",
    "worst",
)


def data_section(records: Artifact) -> Dict[str, Any]:
    """Pictures, boxes and classes per split, where the boxes lie and how large they are, and what was wrong."""
    dataset = records.document("dataset.json")
    index = records.lines("index.jsonl")
    height, width = dataset["image_size"]
    boxes = np.array([box for line in index for box in line["boxes"]], np.float64).reshape(-1, 4)
    sizes = np.sqrt((boxes[:, 2] - boxes[:, 0]) * height * (boxes[:, 3] - boxes[:, 1]) * width)
    return {
        "dataset": dataset,
        "splits": list(dataset["splits"]),
        "most_boxes": max([sum(one["boxes"].values()) for one in dataset["classes"]], default=0),
        "empty_pictures": sum(not line["boxes"] for line in index),
        "median_size": float(np.median(sizes)) if len(sizes) else None,
        "small_share": float(np.mean(sizes < plots.COCO_SIZES[0][0])) if len(sizes) else None,
        "sizes": plots.size_histogram(sizes),
        "centres": plots.centre_heat_map(boxes, height / width),
        "findings": dataset["findings"][:MOST_FINDINGS],
        "more_findings": sum(dataset["finding_counts"].values()) - len(dataset["findings"][:MOST_FINDINGS]),
    }


def training_section(train: Artifact) -> Dict[str, Any]:
    """The course of the training and the checkpoints it kept."""
    checkpoints, history = train.document("checkpoints.json"), train.document("history.json")
    plot = plots.training_plot(history["training"], history["evaluation"], checkpoints["best"])
    return dict(checkpoints, plot=plot)


def evaluation_section(evaluate: Artifact) -> Dict[str, Any]:
    """The COCO figures of the evaluated checkpoint, over all classes and per class."""
    return evaluate.document("evaluation.json")


def export_section(export: Artifact) -> Dict[str, Any]:
    """The facts of the frozen graph."""
    return {"facts": export.document("export.json"), "bytes": os.path.getsize(export.path("frozen_inference_graph.pb"))}


def audit_section(audit: Artifact) -> Dict[str, Any]:
    """The verdict and what it rests on."""
    return audit.document("audit.json")


def conversion_section(convert: Artifact) -> Dict[str, Any]:
    """What the model holds, and how near its detections are to TensorFlow's: the .uff, or the form there is without."""
    parity, model = convert.document("parity.json"), convert.document("model.json")
    unused = model.get("unused", [])
    file = BOXES if _has(convert, BOXES) and not _has(convert, UFF) else UFF
    return {
        "file": file,
        "model": model,
        "classes": [name for class_id, name in enumerate(model["classes"]) if class_id not in unused],
        "parity": parity,
        "parity_rows": {key: parity[key] for key in PARITY_KEYS if parity.get(key) is not None},
        "bytes": os.path.getsize(convert.path(file)),
        "worst": thumbnail(convert, "worst.png"),
    }


def _has(convert: Artifact, file: str) -> bool:
    return os.path.isfile(os.path.join(convert.folder, file))


def detection_section(detect: Artifact) -> Dict[str, Any]:
    """Sample pictures, and the counts over all of them."""
    document = detect.document("detections.json")
    samples = sample_pictures(detect)
    found = {box["class"] for entry in samples for box in entry["detections"] + (entry["truth"] or [])}
    return {
        "samples": samples,
        "classes": sorted(found),
        "pictures": len(document["pictures"]),
        "detections": sum(len(entry["detections"]) for entry in document["pictures"]),
        "videos": [
            {
                "file": video["file"],
                "drawing": video["drawing"],
                "frames": len(video["frames"]),
                "detections": sum(len(frame["detections"]) for frame in video["frames"]),
            }
            for video in document.get("videos", [])
        ],
        "score_threshold": document["score_threshold"],
        "has_truth": any(entry["truth"] is not None for entry in samples),
    }


def engine_section(built: Artifact) -> Dict[str, Any]:
    """What the engine was built of and for, what it finds compared with the reference, and where its time goes."""
    layers = built.document("layers.json")
    slowest = sorted(layers["layers"], key=lambda one: -float(one["milliseconds"]))[:SLOWEST_LAYERS]
    return {
        "engine": built.document("engine.json"),
        "parity": built.document("parity.json"),
        "milliseconds": layers["milliseconds"],
        "layers": len(layers["layers"]),
        "slowest": slowest,
    }


def speed_section(bench: Artifact) -> Dict[str, Any]:
    """How fast the engine is on its board, alone and from picture to boxes."""
    return bench.document("bench.json")


SECTIONS = {
    "detect": ("detection", detection_section),
    "records": ("data", data_section),
    "train": ("training", training_section),
    "evaluate": ("evaluation", evaluation_section),
    "export": ("export", export_section),
    "audit": ("audit", audit_section),
    "convert": ("conversion", conversion_section),
    "build-engine": ("engine", engine_section),
    "bench-engine": ("speed", speed_section),
}


def all_sections(artifacts: Dict[str, Artifact]) -> Dict[str, Dict[str, Any]]:
    """Section name -> its values, for the artifacts there are, in the order of the page: pictures first."""
    return {name: make(artifacts[stage]) for stage, (name, make) in SECTIONS.items() if stage in artifacts}


def headline(sections: Dict[str, Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The figures at the top: each with ``label``, ``value``, ``note`` and the section it comes from."""
    tiles: List[Dict[str, Any]] = []
    if "data" in sections:
        tiles += _data_tiles(sections["data"])
    if "evaluation" in sections:
        tiles += _precision_tiles(sections["evaluation"], "evaluation")
    elif "training" in sections:
        tiles += _precision_tiles(_best_checkpoint(sections["training"]), "training")
    if "conversion" in sections:
        tiles += _conversion_tiles(sections["conversion"])
    if "engine" in sections:
        tiles += _engine_tiles(sections["engine"])
    if "speed" in sections:
        tiles += _speed_tiles(sections["speed"])
    return tiles


def _data_tiles(data: Dict[str, Any]) -> List[Dict[str, Any]]:
    dataset = data["dataset"]
    split = ", ".join("%d %s" % (dataset["splits"][name]["pictures"], name) for name in data["splits"])
    dropped = "%d dropped" % dataset["dropped"] if dataset["dropped"] else "none dropped"
    return [
        _tile("pictures", dataset["images"], split, "data"),
        _tile("boxes", dataset["boxes"], dropped, "data"),
        _tile("classes", len(dataset["classes"]), ", ".join(one["name"] for one in dataset["classes"]), "data"),
    ]


def _best_checkpoint(training: Dict[str, Any]) -> Dict[str, Any]:
    """The best of the checkpoints that were kept, or else the newest; without any, no figures."""
    best = [point for point in training["checkpoints"] if point["step"] == training["best"]]
    figures: Dict[str, Any] = (best or training["checkpoints"] or [{}])[-1]
    return figures


def _precision_tiles(figures: Dict[str, Any], section: str) -> List[Dict[str, Any]]:
    note = "checkpoint of step %s" % figures.get("step", "–")
    if figures.get("split") == "test":
        note += ", test pictures"
    return [
        _tile("mAP@0.5", figures.get("mAP@0.5"), note, section),
        _tile("mAP", figures.get("mAP"), "IoU 0.50 to 0.95", section),
    ]


def _conversion_tiles(conversion: Dict[str, Any]) -> List[Dict[str, Any]]:
    parity = conversion["parity"]
    note = "%d of %d detections" % (parity["matched"], parity["detections"])
    return [
        _tile("parity", _whole_share(parity["matched"], parity["detections"]), note, "conversion"),
        _tile(conversion["file"], conversion["bytes"], "for TensorRT on the Jetson Nano", "conversion"),
    ]


def _engine_tiles(section: Dict[str, Any]) -> List[Dict[str, Any]]:
    engine = section["engine"]
    note = "%s, TensorRT %s" % (engine["precision"], engine["tensorrt"])
    return [_tile("ms of its layers", section["milliseconds"], note, "engine")]


def _speed_tiles(speed: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [_tile("pictures a second", speed["end_to_end"]["per_second"], "on the board, picture to boxes", "speed")]


def _whole_share(part: int, whole: int) -> Optional[str]:
    """A percentage that is rounded down, so that 100% means all; None of nothing."""
    return "%g%%" % (1000 * part // whole / 10) if whole else None


def _tile(label: str, value: Any, note: str, section: str) -> Dict[str, Any]:
    return {"label": label, "value": value, "note": note, "section": section}
