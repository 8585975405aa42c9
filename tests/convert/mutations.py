"""Protobuf messages and their text changed by kind: fields missing, doubled, empty, huge, negative, from elsewhere."""

import random
from typing import Any, Iterator, List, Tuple

from google.protobuf.descriptor import FieldDescriptor as Field

WHOLE = (0, 1, 2, 7, 127, 2**16, 2**31 - 1, -1, -(2**31), 2**62, -(2**63), 2**63 - 1)
REAL = (0.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "\u00b2", "a:\u00b2", "^", ":", "a:1:2", "x" * 3000, "MarkOutput", "Const", "NHWC", "../../etc")
WORDS = (
    "{",
    "}",
    "[",
    "]",
    ":",
    "-1",
    "1e999",
    "99999999999999999999",
    "nan",
    "''",
    '"',
    "\\",
    "true",
    "SIGMOID",
    "#",
    "x {",
)


def mutated(message: Any, seed: int) -> Any:
    """A copy of ``message`` with one to three changes that the seed decides."""
    noise = random.Random(seed)
    made = type(message)()
    made.CopyFrom(message)
    for _ in range(noise.randint(1, 3)):
        places = list(_places(made))
        if places:
            _change(noise, *noise.choice(places))
    return made


def _places(message: Any) -> Iterator[Tuple[Any, Field]]:
    """Every message below, with each field that it may have."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in sorted(value):
                    yield from _places(value[key])
        else:
            for one in value if field.label == Field.LABEL_REPEATED else [value]:
                yield from _places(one)


def _change(noise: random.Random, message: Any, field: Field) -> None:
    value = getattr(message, field.name)
    if noise.random() < 0.2:
        message.ClearField(field.name)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        _change_map(noise, value)
    elif field.label == Field.LABEL_REPEATED:
        _change_list(noise, field, value)
    elif field.message_type is not None:
        value.SetInParent()
    else:
        _set(noise, lambda one: setattr(message, field.name, one), field)


def _change_map(noise: random.Random, value: Any) -> None:
    keys: List[Any] = sorted(value)
    if keys and noise.random() < 0.5:
        del value[noise.choice(keys)]
    elif len(keys) > 1 and hasattr(value[keys[0]], "CopyFrom"):
        value[noise.choice(keys)].CopyFrom(value[noise.choice(keys)])


def _change_list(noise: random.Random, field: Field, value: Any) -> None:
    if len(value) and noise.random() < 0.3:
        del value[noise.randrange(len(value))]
    elif len(value) and field.message_type is not None:
        value.add().CopyFrom(noise.choice(list(value)))
    elif field.message_type is not None:
        value.add()
    elif len(value) and noise.random() < 0.6:
        _set(noise, lambda one: value.__setitem__(noise.randrange(len(value)), one), field)
    else:
        for _ in range(noise.choice((1, 5, 40))):
            _set(noise, value.append, field)


def _set(noise: random.Random, put: Any, field: Field) -> None:
    """Put a value of the field's type that it can hold."""
    kind = field.cpp_type
    if kind == Field.CPPTYPE_STRING:
        text = noise.choice(TEXTS)
        put(text.encode() if field.type == Field.TYPE_BYTES else text)
    elif kind in (Field.CPPTYPE_FLOAT, Field.CPPTYPE_DOUBLE):
        put(noise.choice(REAL))
    elif kind == Field.CPPTYPE_BOOL:
        put(noise.random() < 0.5)
    elif kind == Field.CPPTYPE_ENUM:
        put(noise.choice([value.number for value in field.enum_type.values]))
    else:
        for one in noise.sample(WHOLE, len(WHOLE)):
            try:
                put(one)
                break
            except ValueError:  # out of the type's range
                continue


def mutated_text(text: str, seed: int) -> str:
    """``text`` with one to four of its words or lines gone, doubled, exchanged or replaced."""
    noise = random.Random(seed)
    for _ in range(noise.randint(1, 4)):
        separator = noise.choice((" ", "\n"))
        parts = text.split(separator)
        place = noise.randrange(len(parts))
        change = noise.randrange(4)
        if change == 0:
            del parts[place]
        elif change == 1:
            parts.insert(noise.randrange(len(parts)), parts[place])
        elif change == 2:
            parts[place] = noise.choice(WORDS)
        else:
            parts[place] = parts[noise.randrange(len(parts))]
        text = separator.join(parts)
    return text
