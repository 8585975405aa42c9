"""The label map: the classes and their ids in object_detection's own file format."""

from typing import List

from google.protobuf import text_encoding


def label_map(classes: List[str]) -> str:
    """``label_map.pbtxt`` (StringIntLabelMap in protobuf text format); ids count from 1, 0 being the background."""
    return "".join(
        'item {\n  id: %d\n  name: "%s"\n}\n' % (number, text_encoding.CEscape(name.encode("utf-8"), True))
        for number, name in enumerate(classes, 1)
    )
