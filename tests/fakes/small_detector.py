"""A small detector, and records to prove it on, as convert and records make them: ``python small_detector.py FOLDER``.

Run by a Python that has numpy and OpenCV, which the host's has not.
"""

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), *(str(TESTS / name) for name in ("reference", "detect"))]

import ssd_graph  # noqa: E402
from detect_data import write_records  # noqa: E402

from tests.fakes.description import DESCRIPTION  # noqa: E402


def main(folder):
    """Write ``convert/`` and ``records/`` into the folder."""
    model = folder / "convert"
    model.mkdir(parents=True)
    graph = ssd_graph.ssd(64, 0.25, 4)
    graph.node("MarkOutput_0", "MarkOutput", ["NMS"])
    graph.write(model / "model.uff")
    (model / "model.json").write_text(json.dumps(DESCRIPTION))
    (model / "labels.txt").write_text("BACKGROUND\ncone\nball\nmug\n")
    write_records(folder / "records")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
