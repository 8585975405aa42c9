"""What the tools' own libraries write and read, by the Python that has them (tests/requirements-exchange.lock).

Started as ``exchange_tools.py WHAT FOLDER``; the dataset comes as JSON on standard input: ``classes``, and ``pictures``
with ``name``, ``size``, ``side`` and ``objects`` of ``label``, ``box``, and ``polygon`` or ``degrees`` where they have
one. Photos lie in ``FOLDER/photos``.
"""

import json
import os
import sys

import numpy as np


def supervision_dataset(dataset, folder):
    import supervision as sv

    annotations = {}
    for picture in dataset["pictures"]:
        objects = picture["objects"]
        detections = sv.Detections(
            xyxy=np.array([one["box"] for one in objects], dtype=np.float64).reshape(-1, 4),
            class_id=np.array([dataset["classes"].index(one["label"]) for one in objects], dtype=int),
        )
        annotations[os.path.join(folder, "photos", picture["name"])] = detections
    return sv.DetectionDataset(classes=dataset["classes"], images=list(annotations), annotations=annotations)


def supervision_coco(dataset, folder):
    supervision_dataset(dataset, folder).as_coco(annotations_path=os.path.join(folder, "made", "annotations.json"))


def supervision_yolo(dataset, folder):
    made = os.path.join(folder, "made")
    supervision_dataset(dataset, folder).as_yolo(
        os.path.join(made, "images"), os.path.join(made, "labels"), data_yaml_path=os.path.join(made, "data.yaml")
    )


def supervision_reads_coco(dataset, folder):
    """What it makes of ``to-coco``'s file."""
    import supervision as sv

    found = sv.DetectionDataset.from_coco(os.path.join(folder, "photos"), os.path.join(folder, "instances.json"))
    report = {
        os.path.basename(path): [
            [found.classes[number], list(map(float, box))] for number, box in zip(one.class_id, one.xyxy)
        ]
        for path, one in found.annotations.items()
    }
    print(json.dumps(report))


def pycocotools_evaluates_coco(dataset, folder):
    """COCO's own evaluation of the truth against itself: every object is found, and none is too many."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(os.path.join(folder, "instances.json"))
    found = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 0.9}
        for one in truth.dataset["annotations"]
    ]
    judge = COCOeval(truth, truth.loadRes(found), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    masks = [int(truth.annToMask(one).sum()) for one in truth.dataset["annotations"] if one["segmentation"]]
    print(json.dumps({"mAP": judge.stats[0], "masks": masks}))


def datumaro_dataset(dataset, folder):
    import datumaro as dm

    items = []
    for picture in dataset["pictures"]:
        shapes = [_datumaro_shape(dm, one, dataset["classes"].index(one["label"])) for one in picture["objects"]]
        media = dm.Image.from_file(path=os.path.join(folder, "photos", picture["name"]))
        stem = os.path.splitext(picture["name"])[0]
        items.append(dm.DatasetItem(stem, subset=picture["side"], media=media, annotations=shapes))
    return dm.Dataset.from_iterable(items, categories=dataset["classes"])


def _datumaro_shape(dm, one, label):
    if "polygon" in one:
        return dm.Polygon(one["polygon"], label=label, attributes={"occluded": True})
    x, y, width, height = one["box"][0], one["box"][1], one["box"][2] - one["box"][0], one["box"][3] - one["box"][1]
    if "degrees" in one:
        from datumaro.components.annotation import RotatedBbox

        return RotatedBbox(x + width / 2, y + height / 2, width, height, one["degrees"], label=label)
    return dm.Bbox(x, y, width, height, label=label, attributes={"occluded": True})


def datumaro_writes(name):
    def write(dataset, folder):
        datumaro_dataset(dataset, folder).export(os.path.join(folder, "made"), name, save_media=True)

    return write


def datumaro_reads_coco(dataset, folder):
    """What it makes of ``to-coco``'s file, which it wants in a folder annotations beside one of images."""
    import datumaro as dm

    os.symlink(os.path.join(folder, "photos"), os.path.join(folder, "as-coco", "images"))

    found = dm.Dataset.import_from(os.path.join(folder, "as-coco"), "coco_instances")
    names = [one.name for one in found.categories()[dm.AnnotationType.label]]
    boxes = {item.id: [[names[one.label], one.get_bbox()] for one in item.annotations] for item in found}
    print(json.dumps({name: [[label, list(map(float, box))] for label, box in all_] for name, all_ in boxes.items()}))


def label_studio_converts(dataset, folder):
    """Label Studio's own converter on an export that the test wrote, with turned boxes and without."""
    from label_studio_sdk.converter import Converter

    labels = "".join('<Label value="%s"/>' % name for name in dataset["classes"])
    config = (
        '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">%s</RectangleLabels>'
    )
    config = config % labels + '<PolygonLabels name="outline" toName="image">%s</PolygonLabels></View>' % labels
    converter = Converter(config, project_dir=None, download_resources=False)
    export = os.path.join(folder, "export.json")
    converter.convert_to_coco(export, os.path.join(folder, "coco"), is_dir=False)
    converter.convert_to_yolo(export, os.path.join(folder, "obb"), is_dir=False, is_obb=True)


DOES = {
    "supervision-coco": supervision_coco,
    "supervision-yolo": supervision_yolo,
    "supervision-reads": supervision_reads_coco,
    "pycocotools": pycocotools_evaluates_coco,
    "datumaro-reads": datumaro_reads_coco,
    "label-studio": label_studio_converts,
}
DOES.update((name, datumaro_writes(name)) for name in ("coco_instances", "yolo", "yolo_ultralytics", "cvat"))

if __name__ == "__main__":
    DOES[sys.argv[1]](json.load(sys.stdin), sys.argv[2])
