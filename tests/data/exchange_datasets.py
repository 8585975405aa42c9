"""Datasets in the formats of other tools, as these document them, and what comes of their import."""

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from data_voc import Outcome, photo

from stages.data.annotation import voc
from stages.data.exchange import import_dataset

SIZE = (200, 100)


class Imported:
    """What `import` left behind and said."""

    def __init__(self, outcome: Outcome, folder: Path) -> None:
        self.folder, self.warnings, self.metrics = folder, outcome.warnings, outcome.metrics
        self.annotations = folder / "Annotations"
        with open(folder / "findings.jsonl", encoding="utf-8") as stream:
            self.notes: List[Dict[str, str]] = [json.loads(line) for line in stream]

    @property
    def kinds(self) -> List[str]:
        return [note["kind"] for note in self.notes]

    @property
    def files(self) -> List[str]:
        return sorted(str(path.relative_to(self.annotations)) for path in self.annotations.rglob("*.xml"))

    def lists(self) -> Dict[str, List[str]]:
        folder = self.folder / "ImageSets" / "Main"
        return {path.stem: path.read_text(encoding="utf-8").split("\n")[:-1] for path in sorted(folder.glob("*.txt"))}

    def xml(self, name: str) -> voc.Annotation:
        return voc.parse((self.annotations / name).read_bytes())

    def root(self, name: str) -> Any:
        return voc.tree((self.annotations / name).read_bytes())

    def boxes(self, name: str) -> List[Tuple[str, Any]]:
        return [(one.name, one.box) for one in self.xml(name).objects]


class Source:
    """A dataset in a folder of the test; photos are 200 x 100."""

    def __init__(self, folder: Path, run: Callable[..., Outcome]) -> None:
        self.folder, self._run = folder, run
        folder.mkdir()

    def photo(self, *names: str, orientation: int = 1) -> None:
        for seed, name in enumerate(names):
            self.write(name, photo(*SIZE, seed=seed, orientation=orientation))

    def write(self, name: str, content: Any) -> Path:
        """A file with these bytes, this text, or this as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def read(self, what: str = "", photos: str = "", source_format: str = "", with_photos: bool = False) -> Imported:
        inputs = {"what": str(self.folder / what), "photos": str(self.folder / photos)}
        inputs = {name: path.rstrip(os.sep) for name, path in inputs.items()}
        parameters = {"source_format": source_format, "with_photos": with_photos}
        outcome = self._run(import_dataset.main, inputs, parameters)
        return Imported(outcome, outcome.folder)


def coco(images: Sequence[Dict[str, Any]], annotations: Sequence[Dict[str, Any]], *names: str) -> Dict[str, Any]:
    """COCO's JSON with the categories 1, 2, … of these names."""
    categories = [{"id": number, "name": name, "supercategory": "none"} for number, name in enumerate(names, 1)]
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


def image(key: Any, name: str, **more: Any) -> Dict[str, Any]:
    return dict({"id": key, "file_name": name, "width": SIZE[0], "height": SIZE[1]}, **more)


def labelled(key: Any, image_id: Any, category: Any, bbox: Any, **more: Any) -> Dict[str, Any]:
    return dict({"id": key, "image_id": image_id, "category_id": category, "bbox": bbox, "iscrowd": 0}, **more)
