"""What becomes of a training, foreseen before its first step."""
