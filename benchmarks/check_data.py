"""How long check-data takes, and how much memory, on records of many pictures with about five boxes each.

Usage, with the data environment's Python; FOLDER is a new one:

PYTHONPATH=. python benchmarks/check_data.py FOLDER [PICTURES] [SIDE] [PROCESSES]
"""

import json
import os
import resource
import sys
import time
from typing import Any, Dict, List

import numpy as np

from stages import pixels
from stages.check import check
from stages.data import tfrecord
from stages.job import Job

CLASSES, DIFFERENT, IN_A_SHARD = 20, 2000, 2000


def make(folder: str, count: int, side: int) -> int:
    """Records of ``count`` pictures of ``side`` pixels, of which ``DIFFERENT`` differ; returns their boxes."""
    random = np.random.RandomState(0)
    coarse = random.randint(0, 255, (DIFFERENT, 6, 6, 3)).astype(np.uint8)
    encoded = [pixels.encode_jpeg(pixels.resize(one, side, side), 90) for one in coarse]
    splits: Dict[str, Dict[str, Any]] = {split: {"pictures": 0, "shards": []} for split in ("train", "validation")}
    total = 0
    with open(os.path.join(folder, "index.jsonl"), "w", encoding="utf-8") as index:
        for number in range(count):
            split = "validation" if number % 7 == 0 else "train"
            shard = f"{split}-{splits[split]['pictures'] // IN_A_SHARD:05d}.tfrecord"
            line: Dict[str, Any] = {"source_id": f"folder/IMG_{number:07d}.jpg", "split": split, "shard": shard}
            line.update(boxes=boxes(random), width=1920, height=1080)
            line["classes"] = (random.zipf(1.6, len(line["boxes"])) % CLASSES + 1).tolist()
            texts: Dict[str, List[bytes]] = {"image/encoded": [encoded[random.randint(DIFFERENT)]]}
            frame = tfrecord.framed(
                tfrecord.example({}, {}, {**texts, "image/source_id": [line["source_id"].encode()]})
            )
            with open(os.path.join(folder, shard), "ab") as stream:
                line.update(offset=stream.tell(), length=len(frame))
                stream.write(frame)
            index.write(json.dumps(line) + "\n")
            splits[split]["pictures"] += 1
            total += len(line["boxes"])
    figures = {
        what: {"read": n, "kept": n, "dropped": 0, "background": 0}
        for what, n in (("pictures", count), ("boxes", total))
    }
    document: Dict[str, Any] = {"image_size": [side, side], "splits": splits, "figures": figures}
    document.update(encoding="jpeg", split="hash", images=count, boxes=total, dropped=0, findings=[], finding_counts={})
    document["classes"] = [{"id": number + 1, "name": f"class {number}"} for number in range(CLASSES)]
    with open(os.path.join(folder, "dataset.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    open(os.path.join(folder, "findings.jsonl"), "w").close()
    return total


def boxes(random: np.random.RandomState) -> List[List[float]]:
    """About five boxes, of sizes as in photos of streets."""
    count = min(60, int(random.geometric(0.2)))
    centres, extents = random.rand(count, 2), np.exp(random.normal(-2, 0.8, (count, 2))).clip(0.01, 0.9)
    corners = np.concatenate([centres - extents / 2, centres + extents / 2], axis=1).clip(0, 1)
    found: List[List[float]] = corners.tolist()
    return found


def main(folder: str, count: int = 200000, side: int = 96, processes: int = 2) -> None:
    records, output = os.path.join(folder, "records"), os.path.join(folder, "output")
    os.makedirs(records)
    os.makedirs(output)
    total = make(records, count, side)
    parameters = {"architecture": "ssd_mobilenet_v2", "input_size": [300, 300]}
    job = {"stage": "check-data", "inputs": {"records": records}, "output": output, "scratch": folder}
    began, before = time.time(), processor_seconds()
    check.main(Job({**job, "parameters": parameters, "cpus": processes}))
    seconds, busy = time.time() - began, processor_seconds() - before
    print(f"{count} pictures, {total} boxes: {seconds:.0f} s, {busy:.0f} s of processors, {most_memory()} MB at most")


def processor_seconds() -> float:
    """Of this process and those that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def most_memory() -> int:
    """Megabytes, of the largest process."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
