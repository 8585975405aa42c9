"""Which pictures are trained on: the dataset's own split, or chance; what belongs together stays together."""
