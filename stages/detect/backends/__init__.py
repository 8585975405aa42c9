"""What can compute a detector's network, each the same to its caller."""
