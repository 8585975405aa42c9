"""UFF files changed by kind: fields missing, empty, doubled, huge, negative, of another type, or from elsewhere."""

import copy
import random

from uff_bytes import varint

from stages.reference import wire

# What the messages of a file hold that are messages themselves: field number -> the same for these.
DATA = {2: {}, 4: {}, 6: {}, 8: {}, 102: {}, 103: {1: {2: {}}}, 104: {1: {1: {2: {}}}}}
ENTRY = {2: DATA}
FILE = {3: {}, 4: {2: {4: ENTRY}}, 5: ENTRY}
NUMBERS = (0, 1, 2, 3, 7, 127, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**64 - 1, 2**64 - 2, 0x20020, 0x10020)
TEXTS = (
    b"",
    b"\xc2\xb2",
    b"NHWC",
    b"\xff",
    b"x" * 5000,
    b"same",
    b"MarkOutput",
    b"Const",
    b"Conv",
    b"Pool",
    b"_NMS_TRT",
)


def tree(data, kinds):
    """The message as a list of [field number, wire type, number, bytes or tree]."""
    return [
        [number, kind, tree(value, kinds[number]) if number in kinds and kind == wire.BYTES else _leaf(value)]
        for number, kind, value in wire.fields(memoryview(data))
    ]


def _leaf(value):
    return value if isinstance(value, int) else bytes(value)


def written(fields):
    """The bytes of a tree."""
    out = b""
    for number, kind, value in fields:
        out += varint(number << 3 | kind)
        if kind == wire.VARINT:
            out += varint(value)
        else:
            content = written(value) if isinstance(value, list) else value
            out += (varint(len(content)) if kind == wire.BYTES else b"") + content
    return out


def mutated(root, seed):
    """The file with the tree ``root`` after one to three changes that the seed decides."""
    noise, root = random.Random(seed), copy.deepcopy(root)
    for _ in range(noise.randint(1, 3)):
        messages = list(_messages(root))
        fields = noise.choice([one for one in messages if one])
        place = noise.randrange(len(fields))
        noise.choice(KINDS)(fields, place, noise, messages)
    return written(root)


def _messages(fields):
    yield fields
    for _, _, value in fields:
        if isinstance(value, list):
            yield from _messages(value)


def _missing(fields, place, _noise, _messages):
    del fields[place]


def _doubled(fields, place, noise, _messages):
    fields.insert(noise.randint(0, len(fields)), list(fields[place]))


def _emptied(fields, place, _noise, _messages):
    fields[place][1:] = [wire.BYTES, b""]


def _other_value(fields, place, noise, _messages):
    if fields[place][1] == wire.VARINT:
        fields[place][2] = noise.choice(NUMBERS)
    else:
        fields[place][1:] = [wire.BYTES, noise.choice(TEXTS + tuple(map(varint, NUMBERS)))]


def _other_type(fields, place, noise, _messages):
    """As another field of the message, or another kind of data."""
    fields[place][0] = noise.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102, 103, 104])


def _another_data(fields, place, noise, _messages):
    kind = noise.choice([1, 5, 7, 8, 9, 100, 101, 102])
    number = kind in (5, 7, 101)
    value = noise.choice(NUMBERS) if number else noise.choice(TEXTS)
    if kind in (8, 102):
        value = [[1, wire.VARINT, noise.choice(NUMBERS)] for _ in range(noise.randrange(5))]
    fields[place] = [kind, wire.VARINT if number else wire.BYTES, value]


def _from_elsewhere(fields, place, noise, messages):
    """What stands in another message: another node's name, input, shape or reference. So cycles come about."""
    donor = noise.choice([one for one in messages if one])
    fields[place] = list(noise.choice(donor))


KINDS = (_missing, _doubled, _emptied, _other_value, _other_type, _another_data, _another_data, _from_elsewhere)
