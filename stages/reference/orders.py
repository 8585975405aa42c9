"""Dimension orders: which dimension of the reference layout a UFF tensor stores at each of its positions.

Reference dimensions: 0 is N (or K of a kernel), 1 is C, 2 and up are spatial. NVIDIA's converter writes NHWC data as
[0, 2, INCREMENT, 1] (N+C), TensorFlow's HWIO kernels as [2, INCREMENT, 1, 0] (+CK).
"""

from typing import Any, Dict, List, Sequence

import numpy as np

SPECIAL, INCREMENT = -1, 0x7FFFFFFF
NHWC = (0, 2, 3, 1)
HWIO = (2, 3, 1, 0)


def of_input(fields: Dict[str, Any], index: int, rank: int) -> List[int]:
    """The order of input ``index`` as a permutation of ``range(rank)``; without the field it is the reference order."""
    orders = fields.get("inputs_orders")
    if orders is None:
        return list(range(rank))
    if not isinstance(orders, list) or index >= len(orders) or SPECIAL not in orders[index]:
        raise ValueError("its inputs_orders say nothing about input %d" % index)
    return expand(orders[index][SPECIAL], rank)


def expand(order: Sequence[int], rank: int) -> List[int]:
    """``order`` with INCREMENT, "count on through the spatial dimensions", written out for a tensor of that rank."""
    result: List[int] = []
    for position, dimension in enumerate(order):
        if dimension == INCREMENT:
            continue
        spatial = dimension >= 2 and INCREMENT in order[position + 1 : position + 2]
        result.extend(range(dimension, rank) if spatial else [dimension])
    if sorted(result) != list(range(rank)):
        raise ValueError("its dimension order %s does not suit a tensor of rank %d" % (list(order), rank))
    return result


def transpose(tensor: np.ndarray, order: Sequence[int], target: Sequence[int]) -> np.ndarray:
    """A view of ``tensor``, whose dimensions are in ``order``, with its dimensions in the order ``target``."""
    return tensor.transpose([order.index(dimension) for dimension in target])
