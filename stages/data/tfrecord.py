"""tf.train.Example and TFRecord frames without TensorFlow, the same bytes for the same content."""

import struct
from typing import Any, BinaryIO, Iterator, Mapping, Sequence

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h
HEAD, TAIL = 12, 4  # bytes of a frame before and after its content


def framed(content: bytes) -> bytes:
    """One record as it stands in a TFRecord file: length, its checksum, content, its checksum.

    The format is told in TensorFlow's ``core/lib/io/record_writer.cc``.
    """
    length = struct.pack("<Q", len(content))
    return length + masked_crc(length) + content + masked_crc(content)


def masked_crc(content: bytes) -> bytes:
    """The CRC-32C of ``content``, rotated by 15 bits plus a constant, little endian."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF)


def checksum(frame: bytes) -> str:
    """The checksum of a frame's content, as it stands at its end, in hex digits."""
    return frame[-TAIL:].hex()


def first_content(data: bytes) -> bytes:
    """The content of the whole frame that ``data`` begins with."""
    return data[HEAD : HEAD + int(struct.unpack("<Q", data[:8])[0])]


def contents(data: bytes) -> Iterator[bytes]:
    """The contents of the frames in ``data``, in order.

    Raises:
        ValueError: a frame is cut off, or a checksum is wrong.
    """
    place = 0
    while place < len(data):
        head = data[place : place + HEAD]
        if len(head) < HEAD or head[8:] != masked_crc(head[:8]):
            raise ValueError("the record at byte %d has a damaged head" % place)
        end = place + HEAD + struct.unpack("<Q", head[:8])[0]
        content, tail = data[place + HEAD : end], data[end : end + TAIL]
        if len(tail) < TAIL or tail != masked_crc(content):
            raise ValueError("the record at byte %d is cut off or damaged" % place)
        yield content
        place = end + TAIL


def next_frame(stream: BinaryIO, end: int) -> bytes:
    """The frame that begins where the stream is; the file ends at byte ``end``, and no more is read than it has.

    Raises:
        ValueError: it is cut off, or a checksum is wrong.
    """
    head = stream.read(HEAD)
    if len(head) < HEAD or head[8:] != masked_crc(head[:8]):
        raise ValueError("a record has a damaged head")
    length = int(struct.unpack("<Q", head[:8])[0])
    rest = stream.read(length + TAIL) if length + TAIL <= end - stream.tell() else b""
    if len(rest) < length + TAIL or rest[length:] != masked_crc(rest[:length]):
        raise ValueError("a record is cut off or damaged")
    return head + rest


def _field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str, **more: Any) -> None:
    label = "LABEL_REPEATED" if more.pop("repeated", False) else "LABEL_OPTIONAL"
    packed = more.pop("packed", None)
    field = message.field.add(name=name, number=number, label=label, type="TYPE_" + kind, **more)
    if packed:
        field.options.packed = True


def _declared() -> Any:
    """The class tf.train.Example, declared as in ``tensorflow/core/example/example.proto`` and ``feature.proto``."""
    file = descriptor_pb2.FileDescriptorProto(name="nanoforge/example.proto", package="nanoforge", syntax="proto3")
    for name, kind in (("BytesList", "BYTES"), ("FloatList", "FLOAT"), ("Int64List", "INT64")):
        _field(file.message_type.add(name=name), 1, "value", kind, repeated=True, packed=kind != "BYTES")
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(
        (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")), 1
    ):
        _field(feature, number, name, "MESSAGE", type_name=".nanoforge." + kind, oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _field(entry, 1, "key", "STRING")
    _field(entry, 2, "value", "MESSAGE", type_name=".nanoforge.Feature")
    _field(features, 1, "feature", "MESSAGE", repeated=True, type_name=".nanoforge.Features.FeatureEntry")
    _field(file.message_type.add(name="Example"), 1, "features", "MESSAGE", type_name=".nanoforge.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nanoforge.Example"))


Example = _declared()


def example(
    integers: Mapping[str, Sequence[int]], floats: Mapping[str, Sequence[float]], texts: Mapping[str, Sequence[bytes]]
) -> bytes:
    """A serialized tf.train.Example with these features; an empty list is a feature without values."""
    message = Example()
    for kind, features in (("int64_list", integers), ("float_list", floats), ("bytes_list", texts)):
        for name, values in features.items():
            values_of_kind = getattr(message.features.feature[name], kind)
            values_of_kind.SetInParent()
            values_of_kind.value.extend(values)
    # Without this, map entries come in another order in every process (tensorflow issue 3640).
    return bytes(message.SerializeToString(deterministic=True))
