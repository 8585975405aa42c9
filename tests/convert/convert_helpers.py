"""Ways to run stages, to change a graph, and a form of a UFF message in which names do not count."""

import os
import random
from typing import Any, Dict, List, Union

import tensorflow as tf

from stages.convert.graph.analysis import Examined, Refused, analyse
from stages.convert.parity import pictures
from stages.convert.parity.verdict import Comparison
from stages.job import Job
from stages.parameters import AuditParameters, ConvertParameters

PARAMETERS: Dict[str, Dict[str, Any]] = {
    "audit": AuditParameters(to="uff")._asdict(),
    "convert": ConvertParameters(to="uff", parity_pictures=20)._asdict(),
}


def description(stage: str, output: str, scratch: str, inputs: Dict[str, str], **parameters: Any) -> Dict[str, Any]:
    """What a job file holds; ``parameters`` are those that differ from a detector.toml that says nothing of them."""
    return {
        "stage": stage,
        "inputs": inputs,
        "output": output,
        "scratch": scratch,
        "parameters": dict(PARAMETERS.get(stage, {}), **parameters),
        "cpus": 1,
    }


def job(stage: str, folder: Any, inputs: Dict[str, str], **parameters: Any) -> Job:
    """A job whose output is the new folder ``out`` in ``folder``."""
    os.mkdir(os.path.join(str(folder), "out"))
    return Job(description(stage, os.path.join(str(folder), "out"), str(folder), inputs, **parameters))


def compared(examined: Examined, interpreter: Any, count: int = 2) -> Comparison:
    """The graph held against its model on ``count`` pictures of noise."""
    comparison = Comparison(examined, interpreter)
    size = examined.parameters.input
    for picture in pictures.of_noise(count, size.height, size.width):
        comparison.add(picture)
    return comparison


def analyse_definition(definition: Any, folder: Any, config: str = "") -> Union[Refused, Examined]:
    """What is found out about a GraphDef, by way of a file in ``folder``."""
    path = folder / "graph.pb"
    path.write_bytes(definition.SerializeToString())
    return analyse(str(path), config)


def copy(definition: Any) -> Any:
    """A GraphDef that may be changed."""
    made = tf.GraphDef()
    made.CopyFrom(definition)
    return made


def renamed(definition: Any, seed: int) -> Any:
    """The same graph under random names and in random order of nodes."""
    chance = random.Random(seed)
    names = {node.name: "n%d_%d" % (chance.randrange(10**6), number) for number, node in enumerate(definition.node)}
    made = tf.GraphDef()
    for node in chance.sample(list(definition.node), len(definition.node)):
        new = made.node.add()
        new.CopyFrom(node)
        new.name = names[node.name]
        new.attr.pop("_class", None)
        del new.input[:]
        new.input.extend(_renamed_tensor(tensor, names) for tensor in node.input)
    return made


def _renamed_tensor(tensor: str, names: Dict[str, str]) -> str:
    control, rest = ("^", tensor[1:]) if tensor.startswith("^") else ("", tensor)
    name, colon, index = rest.partition(":")
    return control + names[name] + colon + index


def nameless(meta: Any) -> List[Any]:
    """The nodes in order, inputs as positions, references replaced by what they refer to."""
    position = {node.id: number for number, node in enumerate(meta.graphs[0].nodes)}

    def value(data: Any) -> bytes:
        source = meta.referenced_data[data.ref] if data.WhichOneof("data_oneof") == "ref" else data
        return source.SerializeToString(deterministic=True)

    return [
        (
            node.operation,
            [position[name] for name in node.inputs],
            sorted((name, value(data)) for name, data in node.fields.items()),
        )
        for node in meta.graphs[0].nodes
    ]


def aged(definition: Any, suppression: str = "NonMaxSuppressionV5") -> Any:
    """The graph as TensorFlow 1.15 would have written it: its operations and attributes, all at their defaults."""
    made = copy(definition)
    for node in list(made.node):
        if node.op == "FusedBatchNorm":
            node.op = "FusedBatchNormV3"
            node.attr["U"].type = tf.float32.as_datatype_enum
        elif node.op == "Add":
            node.op = "AddV2"
        elif node.op == "Conv2D":
            node.attr["explicit_paddings"].list.SetInParent()
        elif node.op == "GatherV2":
            node.attr["batch_dims"].i = 0
        elif node.op == "NonMaxSuppressionV3" and suppression == "NonMaxSuppressionV5":
            node.op = suppression
            node.attr["T"].type = tf.float32.as_datatype_enum
            node.attr["pad_to_max_output_size"].b = False
            sigma = made.node.add(name=node.name + "/sigma", op="Const")
            sigma.attr["dtype"].type = tf.float32.as_datatype_enum
            sigma.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.0, tf.float32))
            node.input.append(sigma.name)
    return made
