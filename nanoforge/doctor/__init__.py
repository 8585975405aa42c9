"""Is this machine ready, and the machines that stages are to run on? Findings, each with its remedy."""
