"""Graphs damaged at random, each by one number: the same number makes the same damage on every machine."""

import random
from typing import Any, Callable, Dict, List, Tuple

import convert_helpers as helpers
import numpy as np
import tensorflow as tf

from stages.convert.graph.frozen_graph import data_inputs

OPS = (
    "Relu",
    "Relu6",
    "Softsign",
    "Sigmoid",
    "Add",
    "AddV2",
    "Mul",
    "Identity",
    "Shape",
    "FusedBatchNormV3",
    "Conv2D",
    "Const",
    "Placeholder",
    "Reshape",
    "Softmax",
    "NonMaxSuppressionV5",
    "NoSuchOperation",
)


def damaged(definition: Any, number: int) -> Tuple[str, bytes]:
    """What was done to a copy of the GraphDef ``definition``, and the bytes of the file that comes out."""
    chance = random.Random(number)
    kind = _kind(chance)
    made = helpers.copy(definition)
    data = KINDS[kind](made, chance)
    return kind, made.SerializeToString(deterministic=True) if data is None else data


def kind_of(number: int) -> str:
    """What :func:`damaged` does for ``number``, without doing it."""
    return _kind(random.Random(number))


def _kind(chance: random.Random) -> str:
    return chance.choice(sorted(KINDS))


def _node(made: Any, chance: random.Random, fits: Callable[[Any], Any] = bool) -> Any:
    return chance.choice([node for node in made.node if fits(node)])


def _drop_a_node(made: Any, chance: random.Random) -> None:
    del made.node[chance.randrange(len(made.node))]


def _add_a_node_again(made: Any, chance: random.Random) -> None:
    made.node.add().CopyFrom(_node(made, chance))


def _swap_inputs(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: len(data_inputs(one)) > 1)
    first, second = chance.sample(range(len(data_inputs(node))), 2)
    node.input[first], node.input[second] = node.input[second], node.input[first]


def _lose_an_input(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: one.input)
    del node.input[chance.randrange(len(node.input))]


def _read_another_node(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: one.input)
    node.input[chance.randrange(len(node.input))] = _node(made, chance).name


def _read_another_output(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, data_inputs)
    node.input[0] = "%s:%d" % (node.input[0].split(":")[0], chance.choice((1, 2, 7, 2**31, 2**70)))


def _close_a_cycle(made: Any, chance: random.Random) -> None:
    """Some node reads what is made of it, one to six steps on."""
    readers: Dict[str, List[str]] = {}
    for node in made.node:
        for tensor in data_inputs(node):
            readers.setdefault(tensor.split(":")[0], []).append(node.name)
    first = _node(made, chance, lambda one: data_inputs(one) and one.name in readers)
    last = first.name
    for _ in range(chance.randint(1, 6)):
        last = chance.choice(readers.get(last, [last]))
    first.input[0] = last


def _change_a_shape(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: one.op == "Const" and one.attr["value"].tensor.tensor_shape.dim)
    dims = node.attr["value"].tensor.tensor_shape.dim
    chance.choice(list(dims)).size = chance.choice((-(2**40), -1, 0, 1, 2, 5, 300, 2**31, 2**62))


def _change_the_input(made: Any, chance: random.Random) -> None:
    dims = _node(made, chance, lambda one: one.op == "Placeholder").attr["shape"].shape.dim
    chance.choice(list(dims)).size = chance.choice((-1, 0, 1, 2, 4, 127, 2**31, 2**62))


def _change_weights(made: Any, chance: random.Random) -> None:
    node = _node(
        made,
        chance,
        lambda one: (
            one.op == "Const"
            and len(one.attr["value"].tensor.tensor_content) > 15
            and one.attr["dtype"].type == tf.float32.as_datatype_enum
        ),
    )
    tensor = node.attr["value"].tensor
    values = np.frombuffer(tensor.tensor_content, np.float32).copy()
    values[chance.randrange(len(values))] = chance.choice((np.nan, np.inf, -np.inf, 3e38, 0.0, 1.0))
    tensor.tensor_content = values.tobytes()


def _change_a_number(made: Any, chance: random.Random) -> None:
    """A scalar: an axis, a threshold, a size, a scale."""
    node = _node(
        made,
        chance,
        lambda one: one.op == "Const" and (one.attr["value"].tensor.int_val or one.attr["value"].tensor.float_val),
    )
    tensor = node.attr["value"].tensor
    values = tensor.int_val or tensor.float_val
    values[0] = chance.choice((-1, 0, 1, 2, 3, 100, 10**6))


def _change_an_operation(made: Any, chance: random.Random) -> None:
    _node(made, chance).op = chance.choice(OPS)


def _change_an_attribute(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: one.attr)
    value = node.attr[chance.choice(sorted(node.attr))]
    kind = value.WhichOneof("value")
    if kind == "type":
        value.type = chance.choice((0, 1, 3, 4, 9, 101, 500))
    elif kind in ("i", "f", "b"):
        setattr(value, kind, chance.choice((0, 1)))
    elif kind == "s":
        value.s = chance.choice((b"", b"VALID", b"SAME", b"NCHW", b"\xff"))
    elif kind == "list" and value.list.i:
        value.list.i[chance.randrange(len(value.list.i))] = chance.choice((-1, 0, 2, 3, 10**6))
    else:
        value.Clear()


def _lose_an_attribute(made: Any, chance: random.Random) -> None:
    node = _node(made, chance, lambda one: one.attr)
    del node.attr[chance.choice(sorted(node.attr))]


def _lose_the_end(made: Any, chance: random.Random) -> bytes:
    data = made.SerializeToString(deterministic=True)
    return data[: chance.randrange(len(data))]


def _flip_a_byte(made: Any, chance: random.Random) -> bytes:
    data = bytearray(made.SerializeToString(deterministic=True))
    data[chance.randrange(len(data))] ^= chance.randint(1, 255)
    return bytes(data)


def _claim_two_gigabytes(made: Any, chance: random.Random) -> bytes:
    """A first node of nearly 2 GB, says its header; or a constant of that size."""
    if chance.random() < 0.5:
        return b"\x0a\xff\xff\xff\xff\x07" + made.SerializeToString(deterministic=True)
    tensor = _node(made, chance, lambda one: one.op == "Const").attr["value"].tensor
    tensor.tensor_shape.Clear()
    tensor.tensor_shape.dim.add().size = 2**29
    return made.SerializeToString(deterministic=True)


KINDS = {
    function.__name__[1:]: function
    for function in (
        _drop_a_node,
        _add_a_node_again,
        _swap_inputs,
        _lose_an_input,
        _read_another_node,
        _read_another_output,
        _close_a_cycle,
        _change_a_shape,
        _change_the_input,
        _change_weights,
        _change_a_number,
        _change_an_operation,
        _change_an_attribute,
        _lose_an_attribute,
        _lose_the_end,
        _flip_a_byte,
        _claim_two_gigabytes,
    )
}
