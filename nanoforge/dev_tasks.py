"""The tasks of those who work on Nanoforge itself; tasks.py has them among its own."""

from invoke.context import Context

from nanoforge import dev
from nanoforge.cli import command
from nanoforge.command_line import DEVELOP


@command(
    DEVELOP,
    help={
        "suite": "One suite of tests/, such as host or containers; default: all of them.",
        "all_": "The slow tests too.",
        "prepare": "Only make the environments that these tests need.",
    },
)
def test(_c: Context, suite: str = "", all_: bool = False, prepare: bool = False) -> None:
    """Check style and types, and run the tests, each suite's by its own environment's Python.

    Example: ./run test
    Example: ./run test --suite train --all
    """
    dev.tests.test(suite, all_, prepare)


@command(DEVELOP, help={"full": "Every combination, not only the chosen ones: hours instead of minutes."})
def matrix(_c: Context, full: bool = False) -> None:
    """Convert graphs of TensorFlow 1.9 to 1.15, exported by the real ones, and write docs/matrix.md.

    Example: ./run matrix
    """
    dev.matrix.write_page(full)


@command(
    DEVELOP,
    help={
        "full": "Many draws of each kind: hours instead of minutes.",
        "seed": "Other draws than those of the page.",
        "only": "Only draws whose names begin so, such as 'kills: train'; writes no page.",
    },
)
def faults(_c: Context, full: bool = False, seed: int = 1, only: str = "") -> None:
    """Kill, cut, fill the disk and damage files, see what survives, and write docs/faults.md.

    Example: ./run faults
    Example: ./run faults --seed 7 --only kills
    """
    dev.faults.write_page(full, seed, only)


@command(DEVELOP)
def docs(_c: Context) -> None:
    """Write the tables in docs/ that come from the code.

    Example: ./run docs
    """
    dev.docs.write_docs()
