"""The matrix: SSD graphs of TensorFlow 1.9 to 1.15, exported with the real things, taken through the converter.

Exports run in virtual environments of their own (tests/matrix/), everything else in environment train. The results are
the rows of docs/matrix.md.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from nanoforge.console import Console
from nanoforge.containers.compose import Environment, local_environment
from nanoforge.errors import StageFailed
from nanoforge.files.atomic import held, held_if_free, lock_of, made_once, remove, write_text
from nanoforge.files.digests import sha256_file, sha256_text
from nanoforge.files.paths import HOME, cache_folder
from nanoforge.pipeline.fingerprint import code_files
from nanoforge.runners import virtual_environments
from nanoforge.runners.isolated import isolated

PROGRAMS = HOME / "tests" / "matrix"
PAGE = HOME / "docs" / "matrix.md"
TENSORFLOWS = ("1.12", "1.9", "1.13", "1.14", "1.15")
APIS = ("2019-05", "2019-09")  # generations of object_detection's code, as in tests/matrix/cases.py
RENDER = "stages.demo.render"
Row = Dict[str, Any]
Case = List[Any]  # as tests/matrix/cases.py has it: TensorFlow, object_detection, detector, fixed


# Which cases: those of the page, every combination, or the most different dozen; see tests/matrix/cases.py.
ON_THE_PAGE, EVERY, FEW = "page", "every", "few"


def write_page(full: bool) -> List[Row]:
    """Measure, and write docs/matrix.md; returns the rows.

    Raises:
        StageFailed: an export or a program of the matrix failed, or a graph does not pass.
    """
    console = Console()
    rows = measure(EVERY if full else ON_THE_PAGE, console)
    write_text(PAGE, page(rows))
    failed = [f"{title(row)}: {', '.join(shortcomings(row))}" for row in rows if shortcomings(row)]
    if failed:
        raise StageFailed(f"{len(failed)} of {len(rows)} graphs do not pass: {'; '.join(failed)}.")
    console.good(f"All {len(rows)} graphs pass; the table is {PAGE}.")
    return rows


def prepare(console: Console) -> Tuple[Dict[str, Path], Dict[str, Path]]:
    """Make the environments that are missing, side by side.

    Returns:
        TensorFlow's version -> the Python that has it, and generation of object_detection -> the folder of its package.

    Raises:
        EnvironmentNotReady: an environment cannot be made.
    """

    def python(version: str) -> Path:
        return virtual_environments.ensure(_environment(version), console)

    def package(api: str) -> Path:
        lock = PROGRAMS / f"object_detection-{api}.lock"
        return virtual_environments.ensure_overlay("train", lock, python("1.12"), console)

    with ThreadPoolExecutor() as pool:
        pythons, packages = pool.map(python, TENSORFLOWS), pool.map(package, APIS)
        return dict(zip(TENSORFLOWS, pythons)), dict(zip(APIS, packages))


def measure(which: str, console: Console) -> List[Row]:
    """Export and judge cases, as many at a time as there are processors; rows in the order of the cases.

    Raises:
        EnvironmentNotReady: an environment cannot be made.
        StageFailed: a program failed.
    """
    pythons, packages = prepare(console)
    train = pythons["1.12"]
    kept = _kept_exports()
    with _work_in(kept, console) as work:
        made_once(kept / "pictures", "the pictures of the matrix", partial(_render, work, console), console.say)
        cases = json.loads(_output([str(train), "-c", _LIST_CASES, which], [PROGRAMS]))
        exports = [
            _Export(pythons[version], [packages[one] for one in APIS if one >= api], group, work, kept)
            for (version, api), group in _grouped(cases, (0, 1))
        ]
        _all("exporting", [one.run for one in exports], console)
        judges = [_Judge(group, work, kept, train) for _, group in _grouped(cases, (1, 2, 3))]
        _all("judging", [one.run for one in judges], console)
        found = {tuple(_case(row)): row for one in judges for row in one.rows()}
        return [found[tuple(case)] for case in cases]


@contextmanager
def _work_in(kept: Path, console: Console) -> Iterator[Path]:
    """A folder to work in, by one run at a time."""
    work = kept / "work"
    with held(lock_of(kept), "finish its matrix", console.say):
        remove(work)  # what a run that was killed has left
        work.mkdir()
        yield work
        remove(work)


def _kept_exports() -> Path:
    """The folder of what was exported already, by what an export depends on; other such folders are removed."""
    sources = [*PROGRAMS.rglob("*.lock"), PROGRAMS / "export.py", PROGRAMS / "cases.py"]
    sources += [HOME / "tests" / "convert" / "ssd_graphs.py", *local_environment("train").locks]
    sources += code_files(RENDER)
    key = sha256_text(" ".join(sha256_file(path) for path in sorted(sources)))[:16]
    folder = cache_folder() / "matrix" / f"exports-{key}"
    for other in folder.parent.glob("exports-*"):
        if other.is_dir() and other != folder:
            _remove_unused(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove_unused(exports: Path) -> None:
    """Remove kept exports unless a run of another clone is at work with them."""
    with held_if_free(lock_of(exports)) as free:
        if free:
            shutil.rmtree(exports, ignore_errors=True)


_LIST_CASES = "import sys, json, cases; print(json.dumps(cases.chosen(sys.argv[1])))"


def _grouped(cases: Iterable[Case], places: Sequence[int]) -> List[Tuple[List[Any], List[Case]]]:
    """The cases that agree in ``places``, with what they agree in."""
    groups: Dict[Tuple[Any, ...], List[Case]] = {}
    for case in cases:
        groups.setdefault(tuple(case[place] for place in places), []).append(case)
    return [(list(key), group) for key, group in groups.items()]


def _all(what: str, tasks: Sequence[Any], console: Console) -> None:
    with console.bar(what) as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(lambda task: task(), tasks), 1):
            bar.update(done, len(tasks), "")


def _render(work: Path, console: Console, pictures: Path) -> None:
    output = work / "render"
    output.mkdir()
    job: Dict[str, Any] = {"stage": "render", "inputs": {}, "output": str(output), "scratch": str(work)}
    more = {"parameters": {"pictures": 20, "seed": 1}, "cpus": os.cpu_count()}
    path = _job(work / "render.json", {**job, **more})
    _output(isolated(virtual_environments.ensure(local_environment("data"), console), RENDER, str(path)), [])
    os.rename(output / "JPEGImages", pictures)


def _environment(version: str) -> Environment:
    """What holds a TensorFlow: train, or for those that do not train its build tools and a lock of their own."""
    if version == "1.12":
        return local_environment("train")
    name = f"tensorflow{version.replace('.', '')}"
    build_tools = HOME / "docker" / "train" / "build.lock"
    return Environment(name, virtual_environments.PYTHON36, (build_tools, PROGRAMS / name / "requirements.lock"))


class _Export:
    """One process: a TensorFlow with one generation of object_detection makes all its cases."""

    def __init__(self, python: Path, packages: Sequence[Path], group: List[Case], work: Path, kept: Path) -> None:
        self._python = python
        # The older package leaves out the networks, which the newer one brings.
        self._paths = [PROGRAMS, HOME / "tests" / "convert", *packages]
        asked = {"cases": group, "pictures": str(kept / "pictures"), "out": str(kept)}
        version, api = group[0][:2]
        self._path = _job(work / f"export-{version}-{api}.json", asked)

    def run(self) -> None:
        _output([str(self._python), "-W", "ignore", str(PROGRAMS / "export.py"), str(self._path)], self._paths)


class _Judge:
    """One process of environment train: one detector by all TensorFlows."""

    def __init__(self, group: List[Case], work: Path, kept: Path, python: Path) -> None:
        self._python = python
        scratch = Path(tempfile.mkdtemp(dir=work))
        self._rows = scratch / "rows.json"
        asked = {"cases": group, "exports": str(kept), "pictures": str(kept / "pictures"), "scratch": str(scratch)}
        self._path = _job(scratch / "judge.json", {**asked, "rows": str(self._rows)})

    def run(self) -> None:
        paths = [PROGRAMS, HOME / "tests" / "convert"]
        _output([str(self._python), "-W", "ignore", str(PROGRAMS / "judge.py"), str(self._path)], paths)

    def rows(self) -> List[Row]:
        found: List[Row] = json.loads(self._rows.read_text(encoding="utf-8"))
        return found


def _job(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _output(command: Sequence[str], paths: Sequence[Path]) -> str:
    more = {"PYTHONPATH": os.pathsep.join(map(str, [HOME, *paths])), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=PROGRAMS,  # not the user's folder, in which Python would look for modules first
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise StageFailed(f"The matrix failed in {shlex.join(command)}: {last}")
    return done.stdout


def _case(row: Row) -> Case:
    return [row["tensorflow"], row["api"], row["detector"], row["fixed"]]


def title(row: Row) -> str:
    """What a row is about, in words."""
    return f"{row['detector']} by TensorFlow {row['tensorflow']}, object_detection of {row['api']}"


# Between two TensorFlows' heads, whose kernels alone make 3e-4 on values of 9; in proportion on larger values.
LARGEST_DIFFERENCE, USUAL_HEAD = 5e-4, 10.0


def shortcomings(row: Row) -> List[str]:
    """What keeps a graph from passing; [] if nothing does."""
    if "error" in row:
        return [row["error"]]
    told = {"1.9": "1.12 or older", "1.12": "1.12 or older", "1.15": "1.15 or newer"}
    written_by = told.get(row["tensorflow"], row["tensorflow"])
    verdict = "repairable" if row["tensorflow"] in ("1.14", "1.15") else "convertible"
    wanted = {
        f"is said to be written by TensorFlow {row['written_by']}": row["written_by"] == written_by,
        f"is {row['verdict']}": row["verdict"] == verdict,
        "heads are not TensorFlow 1.12's own, bit by bit": row["bits_as_112"],
        f"heads differ by {row['head_difference']:.1e}": row["head_difference"]
        <= LARGEST_DIFFERENCE * max(1.0, row["largest_head"] / USUAL_HEAD),
        "the .uff is not that of TensorFlow 1.12's export": row["uff_as_112"],
        "names of nodes change the .uff": row["renamed_equal"],
        "detections do not match": row["parity"]["matched"] + sum(row["parity"]["excused"].values())
        >= row["parity"]["detections"]
        > 0,
    }
    return [complaint for complaint, holds in wanted.items() if not holds]


_HEAD = """# Matrix

Graphs that TensorFlow 1.9 to 1.15 exported, all taken through audit, repair, convert, lint, reference interpreter
and parity. `./run matrix` makes this page ({count} graphs here; `--full` makes all combinations);
`./run test --suite matrix --all` measures the dozen of them that differ most, and holds this page against it.

Each detector has seeded random weights, the same for all TensorFlows and both generations of object_detection's code:
2019-05 is `tensorflow-object-detection-api` 0.1.1, 2019-09 is `tf-object-detection` 0.0.3. Pictures are the 20 first
that `render` makes.

* *batch*: `1` where the export fixed batch and size (`--input_shape 1,H,W,3`), `any` where it did not.
* *repaired*: nodes that are rewritten before TensorFlow 1.12 loads the graph; `-` where it loads as it is.
* *as 1.12*: the repaired graph's heads in TensorFlow 1.12 have the bits of 1.12's own export of the same weights, on
  the first four pictures.
* *heads*: how far they are from what the exporting TensorFlow computed: at most {limit:g} on values up to 10, and in
  proportion on larger ones, which random weights make; *largest* is the largest value.
* *uff*: nodes and weights are those of 1.12's export, and stay so under random names for all nodes.
* *parity*: worst difference of the heads of the `.uff`, in the reference interpreter, from TensorFlow 1.12.
* *detections*: those with a score over 0.3 that the reference interpreter finds, of TensorFlow's; *excused*:
  differences on either side that [convert](stages/convert.md) lists as known. Random weights put boxes outside of the
  picture.

| detector | size | classes | TensorFlow | code | batch | repaired | as 1.12 | heads | largest | uff | parity \
| detections | excused |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(rows: Sequence[Row]) -> str:
    """docs/matrix.md."""
    return page_head(len(rows)) + "".join(map(_line, rows))


def page_head(count: int) -> str:
    """All of docs/matrix.md that stands before its ``count`` rows."""
    return _HEAD.format(count=count, limit=LARGEST_DIFFERENCE)


def _line(row: Row) -> str:
    options = row["options"]
    first = [row["detector"], options["size"], options["classes"], row["tensorflow"], row["api"]]
    first.append("1" if row["fixed"] else "any")
    if "error" in row:
        return f"| {' | '.join(map(str, first))} | refused: {row['error']} | | | | | | | |\n"
    parity = row["parity"]
    more = [
        sum(row["repaired"].values()) or "-",
        "equal" if row["bits_as_112"] else "**differ**",
        f"{row['head_difference']:.1e}",
        f"{row['largest_head']:.1f}",
        "equal" if row["uff_as_112"] and row["renamed_equal"] else "**differs**",
        f"{max(parity['heads'].values()):.1e}",
        f"{parity['matched']} of {parity['detections']}",
        ", ".join(f"{count} {reason}" for reason, count in sorted(parity["excused"].items())) or "-",
    ]
    return f"| {' | '.join(map(str, first + more))} |\n"
