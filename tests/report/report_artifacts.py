"""Makes artifact folders as docs/architecture.md describes them, with pictures and figures that look like real ones.

``python report_artifacts.py FOLDER`` also writes FOLDER/job.json, a report job over all of them: so a test whose Python
has neither numpy nor OpenCV can have them made.
"""

import hashlib
import json
import os
import sys
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

STAGES = ("records", "train", "evaluate", "export", "audit", "convert", "detect")
ON_THE_BOARD = ("build-engine", "bench-engine")
ENVIRONMENTS = dict(
    {stage: "train" for stage in STAGES}, records="data", detect="data", **{stage: "jetson" for stage in ON_THE_BOARD}
)
SOURCES = {
    "records": ("photos", "annotations"),
    "train": ("records",),
    "evaluate": ("records", "train"),
    "export": ("train", "records"),
    "audit": ("graph",),
    "convert": ("graph", "records"),
    "detect": ("model", "records"),
    "build-engine": ("model",),
    "bench-engine": ("engine", "model"),
}
MAKERS = {"graph": "export", "model": "convert", "engine": "build-engine"}
SECONDS = {
    "records": 8.4,
    "train": 467.2,
    "evaluate": 21.9,
    "export": 14.0,
    "audit": 1.7,
    "convert": 38.5,
    "detect": 12.3,
    "build-engine": 241.0,
    "bench-engine": 14.1,
}
CLASSES = ("cone", "mug", "ball")
SIZE = 300
WIDTH, HEIGHT = 480, 270
TRAINED, HELD_OUT = 160, 40


def build(root: str, stages: Sequence[str] = STAGES, classes: Sequence[str] = CLASSES) -> Dict[str, str]:
    """Write the artifacts of ``stages`` into folders of ``root``; the same bytes every time.

    Returns:
        stage -> folder, as a report job's inputs.
    """
    makers = {
        "records": _records,
        "train": _train,
        "evaluate": _evaluate,
        "export": _export,
        "audit": _audit,
        "convert": _convert,
        "detect": _detect,
        "build-engine": _build_engine,
        "bench-engine": _bench_engine,
    }
    folders = {stage: os.path.join(root, stage) for stage in STAGES + ON_THE_BOARD if stage in stages}
    for stage, folder in folders.items():
        os.makedirs(folder)
        makers[stage](folder, classes)
        write_json(folder, "record.json", _record(stage))
    return folders


def write_job(root: str, inputs: Dict[str, str], title: str = "Detector of cones") -> str:
    """Write ``root``/job.json and its folders; returns its path."""
    for name in ("output", "scratch"):
        os.makedirs(os.path.join(root, name))
    return write_json(
        root,
        "job.json",
        {
            "stage": "report",
            "inputs": inputs,
            "output": os.path.join(root, "output"),
            "scratch": os.path.join(root, "scratch"),
            "parameters": {"title": title},
            "cpus": 1,
        },
    )


def write_json(folder: str, name: str, document: Any) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    return path


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _record(stage: str) -> Dict[str, Any]:
    hour = 9 + (STAGES + ON_THE_BOARD).index(stage)
    versions = {"python": "3.6.15", "tensorflow": "1.12.0"} if ENVIRONMENTS[stage] == "train" else {"python": "3.11.7"}
    return {
        "format": 1,
        "stage": stage,
        "environment": ENVIRONMENTS[stage],
        "fingerprint": digest_of("fingerprint " + stage),
        "artifact_digest": digest_of("artifact " + stage),
        "started": "2026-11-20T%02d:15:00+00:00" % hour,
        "seconds": SECONDS[stage],
        "recipe": {
            "parameters": {"seed": 7, "classes": list(CLASSES)} if stage == "records" else {"seed": 7},
            "code": {"stages/%s.py" % stage: digest_of(stage + " code")},
            "version": 1,
            "stage": stage,
            "locks": {"docker/%s/requirements.lock" % ENVIRONMENTS[stage]: digest_of(ENVIRONMENTS[stage])},
            "inputs": {name: digest_of("artifact " + MAKERS.get(name, name)) for name in SOURCES[stage]},
        },
        "metrics": {},
        "tools": dict(versions, platform="Linux-6.1-x86_64", numpy="1.19.5"),
        "warnings": ["2 boxes are smaller than 3 pixels at training size."] if stage == "records" else [],
    }


def _records(folder: str, classes: Sequence[str]) -> None:
    random = np.random.RandomState(3)
    index, offset = [], 0
    counts = [{"train": 0, "validation": 0} for _ in classes]
    for number in range(TRAINED + HELD_OUT):
        split = "train" if number < TRAINED else "validation"
        ids = random.randint(1, len(classes) + 1, random.randint(0, 5)).tolist()
        for one in ids:
            counts[one - 1][split] += 1
        index.append(
            {
                "source_id": "IMG_%04d.jpg" % number,
                "split": split,
                "shard": split + "-00000-of-00001.tfrecord",
                "offset": offset,
                "length": 90000,
                "width": 1920,
                "height": 1080,
                "boxes": [_relative_box(random) for _ in ids],
                "classes": ids,
            }
        )
        offset += 90000
    with open(os.path.join(folder, "index.jsonl"), "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in index)
    findings = [
        _finding("tiny_box", 12, 2, 31, "the box is 2.1 x 1.8 pixels at training size", "drop"),
        _finding("outside_box", 40, 1, 19, "xmax 1931 lies outside the picture's width of 1920", "fix"),
        _finding("no_picture", 77, None, None, "there is no picture for this annotation", "drop"),
    ]
    write_json(
        folder,
        "dataset.json",
        {
            "format": 1,
            "image_size": [SIZE, SIZE],
            "encoding": "png",
            "classes": [
                {"id": number, "name": name, "boxes": counts[number - 1]} for number, name in enumerate(classes, 1)
            ],
            "splits": {
                split: {
                    "pictures": sum(line["split"] == split for line in index),
                    "boxes": sum(len(line["boxes"]) for line in index if line["split"] == split),
                    "shards": [split + "-00000-of-00001.tfrecord"],
                }
                for split in ("train", "validation")
            },
            "split": "hash",
            "figures": {
                "pictures": {"read": len(index) + 1, "kept": len(index) - 3, "dropped": 1, "background": 3},
                "boxes": {"read": 482, "kept": 477, "dropped": 2, "background": 3},
            },
            "images": len(index),
            "boxes": sum(len(line["boxes"]) for line in index),
            "dropped": 2,
            "findings": findings,
            "finding_counts": {finding["kind"]: 1 for finding in findings},
        },
    )


def _finding(kind: str, number: int, box: Any, line: Any, message: str, action: str) -> Dict[str, Any]:
    return {
        "kind": kind,
        "file": "Annotations/IMG_%04d.xml" % number,
        "object": box,
        "line": line,
        "message": message,
        "action": action,
    }


def _relative_box(random: np.random.RandomState) -> List[float]:
    height, width = np.exp(random.normal(-1.7, 0.5, 2)).clip(0.02, 0.8)
    top, left = random.beta(3, 3, 2) * (1 - np.array([height, width]))
    return [round(float(value), 5) for value in (top, left, top + height, left + width)]


def _train(folder: str, classes: Sequence[str]) -> None:
    random = np.random.RandomState(4)
    steps = range(10, 901, 10)
    training = [
        {
            "step": step,
            "loss": round(1.2 + 14 * np.exp(-step / 90.0) + random.gamma(2, 0.15), 4),
            "learning_rate": round(0.004 * min(1.0, step / 100.0) * (0.5 + 0.5 * np.cos(np.pi * step / 900)), 7),
        }
        for step in steps
    ]
    evaluation = [
        {
            "step": step,
            "loss": round(1.5 + 9 * np.exp(-step / 140.0), 4),
            "mAP": round(0.55 * (1 - np.exp(-step / 300.0)), 4),
            "mAP@0.5": round(0.87 * (1 - np.exp(-step / 260.0)), 4),
        }
        for step in range(150, 901, 150)
    ]
    write_json(folder, "history.json", {"training": training, "evaluation": evaluation})
    kept = [dict(point, prefix="checkpoints/model.ckpt-%d" % point["step"]) for point in evaluation[-3:]]
    write_json(folder, "checkpoints.json", {"tensorflow": "1.12.0", "best": 900, "last": 900, "checkpoints": kept})


def _evaluate(folder: str, classes: Sequence[str]) -> None:
    per_class = {
        name: {"AP": round(0.58 - 0.06 * index, 4), "AP@0.5": round(0.91 - 0.08 * index, 4)}
        for index, name in enumerate(classes)
    }
    write_json(
        folder,
        "evaluation.json",
        {
            "checkpoint": "checkpoints/model.ckpt-900",
            "step": 900,
            "mAP": 0.5201,
            "mAP@0.5": 0.8312,
            "mAP@0.75": 0.5713,
            "recall@100": 0.6404,
            "loss": 1.6212,
            "per_class": per_class,
        },
    )


def _export(folder: str, classes: Sequence[str]) -> None:
    with open(os.path.join(folder, "frozen_inference_graph.pb"), "wb") as stream:
        stream.write(bytes(5_812_345))
    write_json(
        folder,
        "export.json",
        {
            "checkpoint": "checkpoints/model.ckpt-900",
            "step": 900,
            "tensorflow": "1.12.0",
            "classes": list(classes),
            "input_size": [SIZE, SIZE],
        },
    )


def _audit(folder: str, classes: Sequence[str]) -> None:
    suppression = "Postprocessor/BatchMultiClassNonMaxSuppression/map/while/NonMaxSuppressionV3"
    findings = [
        {
            "op": "NonMaxSuppressionV3",
            "node": suppression,
            "where": "postprocessor",
            "severity": "cut",
            "count": 3,
            "advice": "replaced by NMS_TRT, which decodes and suppresses",
        },
        {
            "op": "Cast",
            "node": "Cast",
            "where": "preprocessor",
            "severity": "cut",
            "count": 1,
            "advice": "cut away: the runtime resizes and scales pixels itself, as model.json says",
        },
    ]
    write_json(
        folder,
        "audit.json",
        {
            "verdict": "convertible",
            "tensorflow": "1.12",
            "findings": findings,
            "ops": {"Conv2D": 47, "Relu6": 35, "FusedBatchNorm": 35, "Const": 310},
        },
    )


def _convert(folder: str, classes: Sequence[str]) -> None:
    with open(os.path.join(folder, "model.uff"), "wb") as stream:
        stream.write(bytes(5_423_111))
    cv2.imwrite(os.path.join(folder, "worst.png"), np.tile(_background(np.random.RandomState(7)), (1, 2, 1)))
    write_json(
        folder,
        "model.json",
        {
            "format": 1,
            "input": {"name": "Input", "shape": [3, SIZE, SIZE], "channels": "RGB", "scale": 2 / 255.0, "offset": -1.0},
            "outputs": {"detections": "NMS", "count": "NMS_1"},
            "classes": ["background", *classes],
            "plugin": {
                "GridAnchor_TRT": {"minSize": 0.2, "maxSize": 0.95, "aspectRatios": [1.0, 2.0, 0.5, 3.0, 0.33]},
                "FlattenConcat_TRT": {"axis": 1, "ignoreBatch": 0},
                "NMS_TRT": {"numClasses": len(classes) + 1, "inputOrder": [0, 2, 1], "scoreConverter": "SIGMOID"},
            },
            "feature_maps": [[19, 19], [10, 10], [5, 5], [3, 3], [2, 2], [1, 1]],
            "anchors": 1917,
            "tensorflow": "1.12.0",
        },
    )
    write_json(
        folder,
        "parity.json",
        {
            "pictures": 20,
            "detections": 57,
            "matched": 57,
            "max_score_diff": 1.1e-05,
            "min_iou": 0.99991,
            "heads": {"box": 2.1e-05, "class": 1.7e-05},
            "anchors": 6e-08,
            "decoded": 4e-07,
            "failures": [],
            "excused": {"score at the last place": 1},
            "worst": {
                "picture": "IMG_0171.jpg",
                "what": "IoU 0.999910, score differs by 1.1e-05",
                "class_id": 1,
                "score": 0.71342,
                "box": [0.1, 0.2, 0.3, 0.4],
            },
        },
    )


def _detect(folder: str, classes: Sequence[str]) -> None:
    os.makedirs(os.path.join(folder, "pictures"))
    random = np.random.RandomState(5)
    entries = [
        _detected_picture(folder, "IMG_%04d.jpg" % number, random, classes)
        for number in range(TRAINED, TRAINED + HELD_OUT)
    ]
    write_json(folder, "detections.json", {"model": "model.uff", "score_threshold": 0.3, "pictures": entries})


def _detected_picture(folder: str, name: str, random: np.random.RandomState, classes: Sequence[str]) -> Dict[str, Any]:
    """One picture in which most boxes are found, some missed, and a few are seen where nothing is."""
    picture = _background(random)
    truth: List[Dict[str, Any]] = []
    detections: List[Dict[str, Any]] = []
    for _ in range(random.randint(0, 4)):
        number = random.randint(len(classes))
        box = _thing(picture, random, number)
        truth.append({"class": classes[number], "class_id": number + 1, "box": box})
        if random.rand() > 0.12:
            shaken = (np.array(box) + random.randint(-4, 5, 4)).clip(0, [WIDTH, HEIGHT] * 2).tolist()
            detections.append(_detection(classes, number, shaken, random.uniform(0.45, 0.99)))
    if random.rand() < 0.12:
        detections.append(_detection(classes, 0, [20, 20, 90, 110], random.uniform(0.3, 0.5)))
    for detection in detections:
        left, top, right, bottom = [int(value) for value in detection["box"]]
        cv2.rectangle(picture, (left, top), (right, bottom), (240, 228, 66), 2)
    cv2.imwrite(os.path.join(folder, "pictures", name), picture[..., ::-1])
    return {
        "file": name,
        "width": WIDTH,
        "height": HEIGHT,
        "detections": detections,
        "truth": truth,
        "drawing": "pictures/" + name,
    }


def _build_engine(folder: str, _classes: Sequence[str]) -> None:
    board = {"model": "NVIDIA Jetson Nano Developer Kit", "power_mode": "MAXN (10 W)"}
    engine = {
        "format": 1,
        "tensorrt": "8.2.1.8",
        "cuda": "10.2",
        "device": "NVIDIA Tegra X1",
        "compute": "5.3",
        "l4t": "32.7.1",
        "precision": "fp16",
        "workspace_mb": 16,
        "seconds": 241.0,
        "plan": {"sha256": "0" * 64, "bytes": 14_000_000},
        "board": board,
    }
    write_json(folder, "engine.json", engine)
    layers = [{"name": "layer %d" % number, "milliseconds": number / 10} for number in range(24)]
    write_json(folder, "layers.json", {"runs": 20, "milliseconds": 27.6, "layers": layers})
    parity = {
        "format": 1,
        "samples": 20,
        "detections": 57,
        "matched": 56,
        "min_iou": 0.981,
        "max_score_diff": 0.0123,
        "mAP@0.5": {"reference": 0.931, "engine": 0.929},
        "limits": {"least_iou": 0.9, "largest_score_difference": 0.05, "largest_map_loss": 0.02},
        "failures": [],
        "failure_count": 0,
    }
    write_json(folder, "parity.json", parity)


def _bench_engine(folder: str, _classes: Sequence[str]) -> None:
    figures = {"median_ms": 25.5, "p90_ms": 26.1, "p99_ms": 31.4, "mean_ms": 25.7, "per_second": 38.9}
    bench = {
        "runs": 200,
        "warmup_runs": 20,
        "network": figures,
        "end_to_end": dict(figures, median_ms=29.75, per_second=33.4),
        "memory_mb": {"free_before": 2100, "free_while": 1650, "process": {}},
        "board": {"model": "NVIDIA Jetson Nano Developer Kit", "power_mode": "5W", "clocks_mhz": {"gpu": 640}},
        "slowed": ["power mode is 5W: sudo nvpmodel -m 0"],
    }
    write_json(folder, "bench.json", bench)


def _detection(classes: Sequence[str], number: int, box: List[float], score: float) -> Dict[str, Any]:
    return {"class": classes[number], "class_id": number + 1, "score": round(score, 4), "box": box}


def _background(random: np.random.RandomState) -> np.ndarray:
    """A floor and a wall, uint8 RGB [HEIGHT, WIDTH, 3]."""
    wall, floor = random.randint(70, 200, (2, 3))
    horizon = random.randint(HEIGHT // 3, 2 * HEIGHT // 3)
    rows = np.arange(HEIGHT)[:, None, None]
    colours = np.where(rows < horizon, wall, floor) - rows // 6
    noise = cv2.GaussianBlur(random.normal(0, 18, (HEIGHT, WIDTH, 3)), (5, 5), 0)
    return np.ascontiguousarray((colours + noise).clip(0, 255).astype(np.uint8))


def _thing(picture: np.ndarray, random: np.random.RandomState, number: int) -> List[int]:
    """Draw a cone, a mug or a ball somewhere, and return its box [xmin, ymin, xmax, ymax]."""
    size = random.randint(40, 110)
    left, top = random.randint(0, WIDTH - size), random.randint(0, HEIGHT - size)
    right, bottom = left + size, top + size
    if number % 3 == 0:
        corners = np.array([[(left + right) // 2, top], [right, bottom], [left, bottom]], np.int32)
        cv2.fillPoly(picture, [corners], (235, 94, 20))
        middle = top + size // 2
        cv2.line(picture, (left + size // 4, middle), (right - size // 4, middle), (245, 240, 235), size // 8)
    elif number % 3 == 1:
        cv2.rectangle(picture, (left, top), (right - size // 4, bottom), (58, 96, 178), -1)
        cv2.circle(picture, (right - size // 4, (top + bottom) // 2), size // 4, (58, 96, 178), max(2, size // 12))
    else:
        cv2.circle(picture, ((left + right) // 2, (top + bottom) // 2), size // 2, (204, 61, 84), -1)
        cv2.circle(picture, (left + size // 3, top + size // 3), size // 8, (250, 205, 210), -1)
    return [left, top, right, bottom]


def main(arguments: Tuple[str, ...]) -> None:
    (root,) = arguments
    write_job(root, build(root), title="Traffic cones, mugs and balls")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
