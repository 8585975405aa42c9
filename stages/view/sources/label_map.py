"""The label map that lies beside foreign records: class names by id, as far as it can be read."""

import os
import re
from typing import Dict

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from stages import files

SUFFIX = ".pbtxt"
MOST_BYTES = 1 << 22


def beside(path: str) -> Dict[int, str]:
    """Names by id, of the one label map in the folder of a file; empty where there is none, or none that is meant."""
    folder = os.path.dirname(path)
    maps = [name for name in sorted(os.listdir(folder)) if name.lower().endswith(SUFFIX)]
    named = [name for name in maps if re.search(r"label|class", name.lower())] or maps
    found = [one for one in (_read(os.path.join(folder, name)) for name in named) if one]
    return found[0] if len(found) == 1 else {}


def _read(path: str) -> Dict[int, str]:
    message = StringIntLabelMap()
    try:
        text_format.Parse(files.read(path, MOST_BYTES).decode("utf-8"), message, allow_unknown_field=True)
    except (OSError, ValueError, text_format.ParseError):
        return {}
    return {
        item.id: item.display_name or item.name for item in message.item if item.id and (item.display_name or item.name)
    }


def _declared() -> type:
    """What is read of ``object_detection/protos/string_int_label_map.proto``."""
    file = descriptor_pb2.FileDescriptorProto(name="nanoforge/label_map.proto", package="nanoforge", syntax="proto2")
    item = file.message_type.add(name="StringIntLabelMapItem")
    for number, (name, kind) in enumerate((("name", "STRING"), ("id", "INT32"), ("display_name", "STRING")), 1):
        item.field.add(name=name, number=number, label="LABEL_OPTIONAL", type="TYPE_" + kind)
    whole = file.message_type.add(name="StringIntLabelMap")
    whole.field.add(
        name="item", number=1, label="LABEL_REPEATED", type="TYPE_MESSAGE", type_name=".nanoforge.StringIntLabelMapItem"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type = message_factory.GetMessageClass(pool.FindMessageTypeByName("nanoforge.StringIntLabelMap"))
    return found


StringIntLabelMap = _declared()
