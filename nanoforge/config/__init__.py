"""detector.toml and what it names: keys, reader, the text of a new file, datasets, start checkpoints."""
