"""What a whole dataset shows of how its boxes are meant."""
