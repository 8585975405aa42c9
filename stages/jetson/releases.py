"""What each L4T release for the Nano brings, for the board, which has no clone: docker/jetson/l4t.toml, in short."""

from typing import NamedTuple, Optional


class BoardRelease(NamedTuple):
    """An L4T release, its JetPack, and the libraries that an engine hangs on."""

    l4t: str
    jetpack: str
    tensorrt: str
    cuda: str


RELEASES = tuple(
    BoardRelease(*line.split("|"))
    for line in """\
32.1|4.2|5.0.6|10.0.166
32.2|4.2.1|5.1.6|10.0.326
32.2.1|4.2.2|5.1.6|10.0.326
32.2.3|4.2.3|5.1.6|10.0.326
32.3.1|4.3|6.0.1|10.0.326
32.4.2|4.4 DP|7.1.0|10.2.89
32.4.3|4.4|7.1.3|10.2.89
32.4.4|4.4.1|7.1.3|10.2.89
32.5.0|4.5|7.1.3|10.2.89
32.5.1|4.5.1|7.1.3|10.2.89
32.5.2|4.5.1|7.1.3|10.2.89
32.6.1|4.6|8.0.1|10.2.300
32.7.1|4.6.1|8.2.1|10.2.300
32.7.2|4.6.2|8.2.1|10.2.300
32.7.3|4.6.3|8.2.1|10.2.300
32.7.4|4.6.4|8.2.1|10.2.300
32.7.5|4.6.5|8.2.1|10.2.300
32.7.6|4.6.6|8.2.1|10.2.300""".splitlines()
)


def of(l4t: str) -> Optional[BoardRelease]:
    """The release that a board says it has: 32.2.0 is 32.2, and 32.1.0 is 32.1."""
    short = l4t[:-2] if l4t.endswith(".0") else l4t
    return next((one for one in RELEASES if one.l4t in (l4t, short)), None)
