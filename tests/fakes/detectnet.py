"""A folder that tells what a clone of jetson-inference tells: where its detectNet looks, and for what."""

import json


def jetson_inference(root):
    """A clone that lists its networks in models.json, in the folder ``root``."""
    networks = root / "data" / "networks"
    (root / "c").mkdir(parents=True)
    networks.mkdir(parents=True)
    (root / "examples" / "detectnet").mkdir(parents=True)
    (root / "c" / "detectNet.cpp").write_text('// model["input_dims"]\n')
    (root / "c" / "tensorNet.cpp").write_text('// "%s.%u.%u.%i.%s.%s" sha256sum\n')
    (networks / "ilsvrc12_synset_words.txt").write_text("")
    (networks / "models.json").write_text(json.dumps({"classification": {}, "detection": {}}))
    return root
