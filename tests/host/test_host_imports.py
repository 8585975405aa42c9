"""Who may import whom: the host's rooms only downwards, stages only what is listed, and neither the other."""

import pytest
from host_sources import CLONE, imports, module_imports, module_name, modules_in_cycles, python_files

from nanoforge.pipeline.fingerprint import code_files

# From the commands down; what stands in one line does not import each other.
LEVELS = (
    ("__main__",),
    ("tasks",),
    ("dev_tasks",),
    ("commands", "dev", "cli"),
    ("command_line",),
    ("doctor",),
    ("pipeline",),
    ("runners",),
    ("containers",),
    ("config",),
    ("store",),
    ("endings",),
    ("files",),
    ("system_errors",),
    ("console", "errors", "lazy", "sessions", "stop", "urls"),
)
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
# What stage rooms import of each other.
AMONG_STAGES = {
    "bundle": ("stages.detect", "stages.jetson"),
    "check": ("stages.data.split.looks", "stages.data.tfrecord", "stages.pages", "stages.protos"),
    "convert": ("stages.detect.nms", "stages.protos", "stages.reference", "stages.train.coco"),
    "detect": ("stages.convert", "stages.jetson", "stages.reference"),
    "foresee": ("stages.convert", "stages.train"),
    "jetson": ("stages.detect", "stages.reference"),
    "report": ("stages.pages",),
    "train": ("stages.protos",),
    "view": ("stages.data",),
}
HANDSHAKE = ("files", "finding_kinds", "job", "parameters", "parent", "system_errors")
CONTRACT = tuple(f"stages.{name}" for name in HANDSHAKE)

HOST_FILES = python_files("nanoforge", "tasks.py")
STAGE_FILES = python_files("stages")


def below(name, modules):
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def room(name):
    """The room of a module of the host; "" for the package itself."""
    first, *more = name.split(".")
    return first if first == "tasks" else ("".join(more[:1]) if first == "nanoforge" else None)


def test_every_module_of_the_host_has_a_level():
    assert {room(module_name(path)) for path in HOST_FILES} - {""} == set(LEVEL)


def test_the_host_imports_downwards_only():
    upwards = [
        f"{module_name(path)} imports {name}"
        for path in HOST_FILES
        for name in imports(path)
        if room(module_name(path)) in LEVEL and room(name) in LEVEL and room(name) != room(module_name(path))
        if LEVEL[room(name)] <= LEVEL[room(module_name(path))]
    ]
    assert upwards == []


@pytest.mark.parametrize("files", [HOST_FILES, STAGE_FILES], ids=["host", "stages"])
def test_no_module_leads_to_itself_again(files):
    graph = module_imports(files)
    assert sum(map(len, graph.values())) > len(files)
    assert modules_in_cycles(graph) == []


def test_a_cycle_would_be_found():
    assert modules_in_cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == ["a", "b", "c", "d"]
    assert modules_in_cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_of_the_stages_the_host_knows_the_contract_only():
    known = {name for path in HOST_FILES for name in imports(path) if name.split(".")[0] == "stages"}
    assert [name for name in known if not below(name, CONTRACT)] == []


def test_stages_know_nothing_of_the_host():
    assert [path for path in STAGE_FILES for name in imports(path) if name.split(".")[0] == "nanoforge"] == []


def test_stage_rooms_import_what_lies_beside_them_and_of_each_other_what_is_listed():
    shared = [module_name(path) for path in STAGE_FILES if path.parent == CLONE / "stages" and path.stem != "__init__"]
    used = set()
    for path in STAGE_FILES:
        own = path.relative_to(CLONE / "stages").parts[0] if path.parent != CLONE / "stages" else ""
        allowed = [*shared, *AMONG_STAGES.get(own, ()), *([f"stages.{own}"] if own else [])]
        for name in imports(path):
            if name.startswith("stages."):
                assert below(name, allowed), f"{path} imports {name}"
                used |= {(own, listed) for listed in AMONG_STAGES.get(own, ()) if below(name, [listed])}
    assert used == {(own, listed) for own, modules in AMONG_STAGES.items() for listed in modules}


def test_the_reference_interpreter_shares_no_code_with_the_converter():
    assert "reference" not in AMONG_STAGES
    assert all("convert" not in path.parts for path in code_files("stages.reference.run"))


def test_the_docker_sdk_is_imported_below_containers_only():
    users = [path for path in HOST_FILES for name in imports(path) if below(name, ["docker"])]
    assert users and {path.parent.name for path in users} == {"containers"}


def test_the_handshake_needs_the_standard_library_only():
    used = {
        name.split(".")[0]
        for path in python_files(*(f"stages/{name}.py" for name in HANDSHAKE))
        for name in imports(path)
    }
    assert used <= set(
        (
            "atexit contextlib errno faulthandler heapq json os re runpy select signal stages stat sys threading "
            "traceback typing"
        ).split()
    )


def test_a_stages_code_is_what_it_imports():
    files = {path.name for path in code_files("stages.data.records")}
    assert {"job.py", "pixels.py", "records.py"} <= files
    assert not {"train.py", "report.py"} & files


def test_a_stages_code_is_also_what_it_starts_and_what_it_shows():
    files = {path.name for path in code_files("stages.jetson.build_engine")}
    assert {"builder.py", "plugin_libraries.py"} <= files
    assert {"page.html", "builder.py"} <= {path.name for path in code_files("stages.bundle.bundle")}
