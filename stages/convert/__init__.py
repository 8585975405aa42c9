"""From a frozen SSD graph to a .uff file with proof: read, audit, repair, cut, write, check, compare."""
