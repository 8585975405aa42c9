"""How a device computes TensorRT's plugins: of which version, in which precision, with fused multiply-adds or not."""

import re
from typing import NamedTuple, Tuple

from stages.job import BadInput

Version = Tuple[int, int, int]

# What JetPack 4.2 to 4.6.6 brought for the Nano (docker/jetson/l4t.toml); plugins changed with 7.1 and with 8.0 only.
ON_THE_NANO = ((5, 0, 6), (5, 1, 6), (6, 0, 1), (7, 1, 0), (7, 1, 3), (8, 0, 1), (8, 2, 1))
NEWEST = ON_THE_NANO[-1]


class Arithmetic(NamedTuple):
    """How the plugins compute.

    Attributes:
        tensorrt: the version whose plugins they are.
        half: NMS_TRT in float16, as TensorRT from 8.0 on may choose in FP16 engines; before, it has float32 only.
        fused: a product and a sum are rounded once (fused multiply-add), as NVIDIA's compiler makes GridAnchor_TRT's
            centres; a C++ compiler for the CPU rounds twice, and so does TensorFlow.
    """

    tensorrt: Version = NEWEST
    half: bool = False
    fused: bool = False


PLAIN = Arithmetic()


def version(text: str) -> Version:
    """``8.2.1`` as (8, 2, 1); also 8.2, and 8.2.1.8, whose last part is the build.

    Raises:
        BadInput: it is not a version.
    """
    if not re.match(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}$", text):
        raise BadInput("%r is not a version of TensorRT; one looks like 8.2.1" % text)
    major, minor, patch = (int(part) for part in (text.split(".") + ["0"])[:3])
    return major, minor, patch
