"""NVIDIA's own converter, where the user has its package ``uff``: what it writes of a graph, held against ours.

The package comes with JetPack (``/usr/lib/python3.6/dist-packages/uff``) and with TensorRT's archives; it is on no
public index. Its entry is ``uff.from_tensorflow(graphdef, output_nodes, …)``, which returns the file's bytes.
"""

import contextlib
import importlib
import os
import sys
from typing import Any, Dict, List, Sequence

from stages.convert.graph.frozen_graph import Graph
from stages.convert.uff import schema
from stages.convert.uff.inspection import differences, listing_of
from stages.job import BadInput

_NO_DILATION = [1, 1]  # what the field means where it is missing: older versions of the package leave it out, as we do


def second_opinion(graph: Graph, outputs: Sequence[str], meta: Any, package: str, path: str) -> Dict[str, List[str]]:
    """Write NVIDIA's .uff of ``graph`` to ``path``, and tell what ``meta``, our message, has otherwise.

    Args:
        package: the folder that holds ``uff``, or its wheel.

    Returns:
        ``differences``, one sentence each.

    Raises:
        BadInput: there is no such package, or it fails.
    """
    data = _converted(graph, outputs, package)
    with open(path, "wb") as stream:
        stream.write(data)
    theirs = listing_of(schema.parse(data, "NVIDIA's .uff"), "NVIDIA's")
    for node in theirs["nodes"]:
        if node["fields"].get("dilation") == _NO_DILATION:
            del node["fields"]["dilation"]
    return {"differences": differences(listing_of(meta, "ours"), theirs)}


def _converted(graph: Graph, outputs: Sequence[str], package: str) -> bytes:
    if os.path.isdir(package) and not os.path.isfile(os.path.join(package, "uff", "__init__.py")):
        raise BadInput(
            "%s holds no package uff; name the folder that has it, such as "
            "/usr/lib/python3.6/dist-packages on a Jetson, or its wheel" % os.path.basename(package)
        )
    sys.path.append(package)  # behind everything else: such a folder may hold other versions of what we use
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints a line for each node
            data = importlib.import_module("uff").from_tensorflow(
                graph.definition, output_nodes=list(outputs), quiet=True
            )
    except Exception as error:  # whatever a foreign program may raise
        raise BadInput("NVIDIA's package uff failed: %s: %s" % (type(error).__name__, error)) from error
    finally:
        sys.path.remove(package)
    if not isinstance(data, bytes):
        raise BadInput(
            "NVIDIA's package uff returned %s instead of a file's bytes; try another version of it"
            % type(data).__name__
        )
    return data
