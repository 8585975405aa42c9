"""What convolutions and poolings of an NHWC graph step over and pad, read from their nodes."""

from typing import Any, List, Tuple

from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.job import BadInput

Pads = Tuple[Tuple[int, int], Tuple[int, int]]
"""What is added (before, after) rows and (before, after) columns."""


def check_layout(node: Any) -> None:
    """Refuse a node that does not compute in NHWC.

    Raises:
        BadInput: its attribute says so.
    """
    if node.attr["data_format"].s not in (b"NHWC", b""):
        raise BadInput('Node "%s" (%s) is not NHWC; export the graph on a CPU' % (node.name, node.op))


def window(node: Any, attribute: str) -> List[int]:
    """The height and width of a four-number attribute of an NHWC node; [1, 1] where it is not given.

    Raises:
        BadInput: it says something of batch or channels, or the node is not NHWC.
    """
    check_layout(node)
    values = list(node.attr[attribute].list.i) or [1, 1, 1, 1]
    if len(values) != 4 or values[0] != 1 or values[3] != 1:
        raise BadInput(
            'Node "%s" (%s) has the %s %s, but only rows and columns can be stepped over; export the graph again'
            % (node.name, node.op, attribute, values)
        )
    return values[1:3]


def pads_before(graph: Graph, pad: Any, node: Any) -> Pads:
    """What the node ``pad`` adds before the convolution or pooling ``node``, which is to do it itself.

    Raises:
        BadInput: it pads batch or channels, or ``node`` pads too.
    """
    pads = graph.constant(data_inputs(pad)[1])
    fits = pads is not None and pads.shape == (4, 2) and pads.min() >= 0 and not pads[[0, 3]].any()
    if pads is None or not fits or node.attr["padding"].s != b"VALID":
        raise BadInput('Node "%s" pads more than the picture of a VALID convolution; export the graph again' % pad.name)
    return (int(pads[1, 0]), int(pads[1, 1])), (int(pads[2, 0]), int(pads[2, 1]))
