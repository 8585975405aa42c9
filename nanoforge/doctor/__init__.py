"""Is this machine ready, and the machines that stages are to run on? Findings, each with its remedy."""

from nanoforge.lazy import modules_of

__getattr__ = modules_of(__name__)
