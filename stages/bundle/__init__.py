"""What travels to the board: the model, what proves it there, and one file that does it all."""
