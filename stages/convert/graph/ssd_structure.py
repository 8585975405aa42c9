"""Where an SSD graph has its image input, network, heads, anchors and postprocessor: found by data flow, never by name.

What is found is only a claim; :mod:`stages.convert.parity.measure` feeds values through the graph to prove it.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from stages.convert.graph.frozen_graph import Graph, data_inputs, node_name
from stages.job import BadInput

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
SUPPRESSIONS = (
    "NonMaxSuppression",
    "NonMaxSuppressionV2",
    "NonMaxSuppressionV3",
    "NonMaxSuppressionV4",
    "NonMaxSuppressionV5",
)
_BETWEEN_CONVOLUTION_AND_RESHAPE = {"BiasAdd", "Add", "AddV2", "Sigmoid", "Identity"}
_ANCHOR_ARRANGING = {
    "Sub",
    "Unpack",
    "Transpose",
    "Reshape",
    "Tile",
    "ExpandDims",
    "Identity",
    "StridedSlice",
    "Squeeze",
}


class Head(NamedTuple):
    """One layer's head: its last Reshape, the tensor that one reads ([1, h, w, channels]), and its convolution."""

    reshape: str
    source: str
    convolution: str


class SsdStructure:
    """The parts of an SSD graph, as tensor or node names.

    Attributes:
        image: the placeholder that takes pictures.
        entry: the preprocessed picture, [1, h, w, 3], which the feature extractor reads.
        box_heads, class_heads: one :class:`Head` per feature map, in the order they are concatenated.
        box_encodings: all layers' encodings, [1, P, 1, 4] or [1, P, 4].
        class_predictions: all layers' class predictions, [1, P, C].
        anchors: [P, 4], rows ymin, xmin, ymax, xmax, normalised.
        decoded: the decoded boxes as four stacked rows, [4, P].
        scores: what non-maximum suppression is given, [1, P, C].
        suppressions: the NonMaxSuppression nodes.
    """

    def __init__(self, graph: Graph) -> None:
        self.image = find_image(graph)
        _refuse_two_stages(graph)
        encodings, predictions, exponentials = find_concats(graph)
        self.box_heads, self.class_heads = heads_of(graph, encodings), heads_of(graph, predictions)
        self.box_encodings, self.class_predictions = encodings.name, predictions.name
        _refuse_shared_heads(graph, self.class_heads)
        self.entry = find_entry(graph, [head.source for head in self.box_heads + self.class_heads], self.image)
        self.anchors = find_anchors(graph, exponentials)
        self.decoded = find_decoded(graph, exponentials)
        self.scores = find_scores(graph, predictions.name)
        self.suppressions = [node.name for node in graph.of_kind(*SUPPRESSIONS)]


def find_image(graph: Graph) -> str:
    """The one placeholder that takes a batch of pictures.

    Raises:
        BadInput: there is none, or more than one.
    """
    inputs = graph.of_kind("Placeholder")
    pictures = [node for node in inputs if _takes_pictures(node)]
    if len(pictures) == 1:
        return str(pictures[0].name)
    kinds = ", ".join('"%s"' % node.name for node in inputs) or "none"
    raise BadInput(
        "The graph has no single image input [batch, height, width, 3] (its inputs: %s); "
        "export it with --input_type image_tensor" % kinds
    )


def _takes_pictures(node: Any) -> bool:
    shape = node.attr["shape"].shape
    return shape.unknown_rank or (len(shape.dim) == 4 and shape.dim[3].size in (3, -1))


def _refuse_two_stages(graph: Graph) -> None:
    crop = graph.of_kind("CropAndResize")
    if crop:
        raise BadInput(
            'The graph is a two-stage detector (Faster R-CNN: node "%s" is CropAndResize), not an SSD; '
            "train one of the ssd_* architectures" % crop[0].name
        )
    if not graph.of_kind(*SUPPRESSIONS):
        raise BadInput(
            "The graph has no postprocessor (no NonMaxSuppression), so it is not an SSD detector; "
            "give the frozen_inference_graph.pb of object_detection's exporter"
        )


def find_concats(graph: Graph) -> Tuple[Any, Any, List[Any]]:
    """The nodes that concatenate the layers' box encodings and class predictions, and the Exp nodes of the decoder.

    Box encodings are what a decoder takes the exponential of; the other concatenation of heads is the classes.

    Raises:
        BadInput: the graph has no such pair.
    """
    concats = [node for node in graph.of_kind("ConcatV2") if heads_of(graph, node)]
    exponentials = [node for node in graph.of_kind("Exp")]
    names = {node.name for node in concats}
    decoders = [node for node in exponentials if names & graph.ancestors([node.name])]
    boxes = [node for node in concats if any(node.name in graph.ancestors([exp.name]) for exp in decoders)]
    classes = [node for node in concats if node not in boxes]
    if len(boxes) != 1 or len(classes) != 1 or len(decoders) != 2:
        raise BadInput(
            "The graph is not an SSD with convolutional heads: found %d concatenated box heads, %d class heads "
            "and %d box decoders instead of 1, 1 and 2; only ssd_* models can be converted"
            % (len(boxes), len(classes), len(decoders))
        )
    if len(heads_of(graph, boxes[0])) != len(heads_of(graph, classes[0])):
        raise BadInput("The graph has another number of box heads than class heads; export it again")
    return boxes[0], classes[0], decoders


def heads_of(graph: Graph, concat: Any) -> List[Head]:
    """The heads that ``concat`` joins along the anchors, or [] where it joins something else."""
    *parts, axis = data_inputs(concat)
    value = graph.constant(axis)
    if value is None or value.size != 1 or int(value) != 1 or len(parts) < 2:
        return []
    heads = [_head(graph, part) for part in parts]
    return [head for head in heads if head] if all(heads) else []


def _head(graph: Graph, tensor: str) -> Optional[Head]:
    reshape = graph.maker(tensor)
    if reshape.op != "Reshape":
        return None
    source = data_inputs(reshape)[0]
    node = graph.maker(source)
    for _ in range(8):
        if node.op not in _BETWEEN_CONVOLUTION_AND_RESHAPE:
            break
        node = graph.maker(data_inputs(node)[0])
    return Head(reshape.name, source, node.name) if node.op in CONVOLUTIONS else None


def _refuse_shared_heads(graph: Graph, heads: List[Head]) -> None:
    weights = {graph.maker(data_inputs(graph.nodes[head.convolution])[1]).name for head in heads}
    if len(weights) < len(heads):
        raise BadInput(
            "The graph's layers share one predictor (an FPN or RetinaNet model), whose upsampling and "
            "anchors UFF and GridAnchor_TRT cannot express; train ssd_mobilenet_v1, v2, ssdlite or "
            "inception_v2 without fpn"
        )


def find_entry(graph: Graph, ends: List[str], image: str) -> str:
    """The tensor that the first convolution of the network reads.

    Raises:
        BadInput: there is not exactly one, or it does not come from the image.
    """
    from_image = graph.descendants([image])
    network = graph.ancestors(ends) & from_image
    entries: Set[str] = set()
    for name in network:
        node = graph.nodes[name]
        if node.op in CONVOLUTIONS and _is_first(graph, node):
            first = graph.maker(data_inputs(node)[0])
            entries.add(graph.maker(data_inputs(first)[0]).name if first.op == "Pad" else first.name)
    if len(entries) != 1:
        raise BadInput(
            "The graph's network starts at %d places instead of one behind the image input; export it again"
            % len(entries)
        )
    return entries.pop()


def _is_first(graph: Graph, convolution: Any) -> bool:
    before = graph.ancestors(data_inputs(convolution)[:1])
    return not any(graph.nodes[name].op in CONVOLUTIONS for name in before)


def find_anchors(graph: Graph, exponentials: List[Any]) -> str:
    """The tensor that the decoder's sizes come from: exp(encoding) * size, size = max - min of the anchors."""
    sources = set()
    for exponential in exponentials:
        for product in graph.consumers[exponential.name]:
            sources |= {
                _arranged(graph, name)
                for name in data_inputs(product)
                if product.op == "Mul" and node_name(name) != exponential.name
            }
    if len(sources) != 1:
        raise BadInput(
            "The graph's box decoder does not scale one set of anchors (found %d); "
            "only faster_rcnn_box_coder can be converted" % len(sources)
        )
    return sources.pop()


def _arranged(graph: Graph, tensor: str) -> str:
    node = graph.maker(tensor)
    for _ in range(len(graph.nodes)):
        if node.op not in _ANCHOR_ARRANGING:
            break
        node = graph.maker(data_inputs(node)[0])
    return str(node.name)


def find_decoded(graph: Graph, exponentials: List[Any]) -> str:
    """The node that stacks ymin, xmin, ymax, xmax of the decoded boxes: the first stack of four behind the decoder."""
    queue: List[str] = [node.name for node in exponentials]
    seen: Set[str] = set(queue)
    while queue:
        name = queue.pop(0)
        node = graph.nodes[name]
        if node.op == "Pack" and len(data_inputs(node)) == 4:
            return name
        following = [reader.name for reader in graph.consumers[name] if reader.name not in seen]
        seen.update(following)
        queue.extend(following)
    raise BadInput(
        "The graph's box decoder does not end in four stacked corners; only faster_rcnn_box_coder can be converted"
    )


def find_scores(graph: Graph, predictions: str) -> str:
    """The class predictions as suppression sees them: behind a scale and a Sigmoid or Softmax, where there are any."""
    last = {predictions}
    queue = [predictions]
    while queue:
        for reader in graph.consumers[queue.pop(0)]:
            if reader.op in ("Sigmoid", "Softmax"):
                return str(reader.name)
            if _scales(graph, reader) and reader.name not in last:
                last.add(reader.name)
                queue.append(reader.name)
    return predictions


def _scales(graph: Graph, node: Any) -> bool:
    if node.op in ("Identity", "Reshape"):
        return True
    return node.op in ("Mul", "RealDiv") and any(graph.constant(name) is not None for name in data_inputs(node))


def regions(graph: Graph, structure: SsdStructure) -> Dict[str, str]:
    """node name -> preprocessor, extractor, heads, anchors or postprocessor, by what it computes for whom.

    A head is what only one of a layer's two predictions needs; what neither network nor anchors need is postprocessor.
    """
    found = {name: "postprocessor" for name in graph.nodes}
    found.update({name: "anchors" for name in graph.ancestors([structure.anchors])})
    before_network = graph.ancestors([structure.entry]) | _beside_network(graph, structure)
    found.update({name: "preprocessor" for name in before_network})
    for boxes, classes in zip(structure.box_heads, structure.class_heads):
        first = graph.ancestors([boxes.reshape], stop=before_network)
        second = graph.ancestors([classes.reshape], stop=before_network)
        found.update({name: "extractor" for name in first & second})
        found.update({name: "heads" for name in first ^ second})
    found.update({name: "heads" for name in (structure.box_encodings, structure.class_predictions)})
    return found


def _beside_network(graph: Graph, structure: SsdStructure) -> Set[str]:
    """What the image flows into without passing the network, up to where it meets decoded boxes: true image shapes."""
    after_network = graph.descendants([structure.entry])
    aside = graph.descendants([structure.image], stop=[structure.entry])
    return aside - after_network


def network(graph: Graph, structure: SsdStructure) -> Set[str]:
    """The nodes that become UFF nodes: what flows into the heads' data, up to the network's entry."""
    sources = [head.source for head in structure.box_heads + structure.class_heads]
    heads = {head.reshape for head in structure.box_heads + structure.class_heads}
    return graph.ancestors(sources, stop=[structure.entry]) | heads
