"""Imports between rooms run in one direction; this is the contract, and nothing else is allowed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("transfusion", "sweeps", "analysis")

TRIAL_TYPES = {
    "transfusion.architectures", "transfusion.cell", "transfusion.files", "transfusion.problems",
    "transfusion.weights_input",
}  # fmt: skip
ROOMS: dict[str, set[str]] = {
    "transfusion": set(),
    "sweeps": set(),
    "transfusion.problems": set(),
    "transfusion.files": set(),
    "transfusion.cgroups": set(),
    "transfusion.restored": set(),
    "transfusion.weights_input": set(),
    "transfusion.architectures": set(),
    "transfusion.cell": {"transfusion.architectures", "transfusion.problems", "transfusion.weights_input"},
    "transfusion.images": {"transfusion.problems"},
    "transfusion.data": TRIAL_TYPES | {"transfusion.cgroups", "transfusion.images"},
    "transfusion.layouts": TRIAL_TYPES | {"transfusion.data", "transfusion.images"},
    "transfusion.phantom": TRIAL_TYPES | {"transfusion.cgroups", "transfusion.layouts"},
    "transfusion.records": TRIAL_TYPES,
    "transfusion.networks": TRIAL_TYPES | {"transfusion.records"},
    "transfusion.training": TRIAL_TYPES
    | {"transfusion.data", "transfusion.layouts", "transfusion.networks", "transfusion.records"}
    | {"transfusion.restored", "transfusion.study"},
    "transfusion.study": {"transfusion.cell", "transfusion.data"},
    "transfusion.trial": TRIAL_TYPES
    | {"transfusion.data", "transfusion.networks", "transfusion.records", "transfusion.study"}
    | {"transfusion.training"},
    "sweeps.spaces": {"transfusion"},
    "sweeps.presets": {"transfusion", "sweeps.spaces"},
    "sweeps.options": {"transfusion", "sweeps.spaces", "sweeps.presets"},
    "sweeps.planning": {"transfusion", "sweeps.spaces"},
    "sweeps.processes": {"transfusion"},
    "sweeps.storage": {"transfusion", "sweeps.processes"},
    "sweeps.inputs": {
        "transfusion", "sweeps.options", "sweeps.spaces", "sweeps.planning", "sweeps.storage",
    },
    "sweeps.execution": {"transfusion", "sweeps.planning", "sweeps.processes", "sweeps.storage"},
    "sweeps.measuring": {
        "transfusion", "sweeps.options", "sweeps.spaces", "sweeps.planning", "sweeps.inputs",
    },
    "sweeps.running": {
        "transfusion", "sweeps.options", "sweeps.spaces", "sweeps.planning", "sweeps.processes",
        "sweeps.storage", "sweeps.inputs", "sweeps.execution", "analysis",
    },
    "sweeps.full_grid": {"transfusion", "sweeps"},
    "analysis.names": set(),
    "analysis.numbers": set(),
    "analysis.tables": {"analysis.names"},
    "analysis.statistics": {"analysis.names", "analysis.tables"},
    "analysis.claims": {"analysis.names", "analysis.numbers", "analysis.tables", "analysis.statistics"},
    "analysis.checks": {"analysis.names", "analysis.tables", "analysis.statistics", "analysis.claims"},
    "analysis.calibration": {"analysis.names", "analysis.tables", "analysis.statistics", "analysis.claims"},
    "analysis.figures": {"analysis.names", "analysis.numbers", "analysis.tables"},
    "analysis.report": {
        "analysis.names", "analysis.numbers", "analysis.tables", "analysis.statistics", "analysis.claims",
        "analysis.figures",
    },
    "analysis.planned": {"analysis"},
    "analysis.run": {"analysis"},
    "analysis.interface": {"analysis"},
    "analysis.terminal": {"analysis"},
    "analysis.__main__": {"analysis"},
    "analysis": {"analysis"},
}  # fmt: skip
"""room -> the rooms, or whole packages, that it may import, lazily or not."""

TYPES_ONLY: dict[str, set[str]] = {"analysis.figures": {"analysis.claims"}}
"""room -> the rooms whose names it may use in annotations alone, imported below `if TYPE_CHECKING`."""

FOREIGN: dict[str, set[str]] = {
    "transfusion": {"ray", "sweeps", "analysis"},
    "analysis": {"ray", "torch", "torchvision", "pytorch_lightning", "sweeps", "transfusion"},
    "analysis.figures": {"scipy", "statsmodels", "sklearn"},
}
"""room or package -> what it never imports."""


def room_of(module: str) -> str:
    """`transfusion.data` for `transfusion.data.dataset`; a package's own `__init__` is the package."""
    return ".".join(module.split(".")[:2])


def imports(text: str) -> Iterator[tuple[str, bool]]:
    """Every module that `text` imports, at the top or inside of a function, and whether for types alone."""
    tree = ast.parse(text)
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node in typing) for alias in node.names)


def broken(module: str, text: str) -> list[str]:
    """Imports of `module` that the contract does not allow."""
    room = room_of(module)
    never = FOREIGN.get(module.split(".")[0], set()) | FOREIGN.get(room, set())
    found = []
    for name, typing in imports(text):
        allowed = ROOMS[room] | {room} | (TYPES_ONLY.get(room, set()) if typing else set())
        top = name.split(".")[0]
        if top in never or (top in PACKAGES and not {top, room_of(name)} & allowed):
            found.append(f"{module} imports {name}")
    return found


def modules() -> dict[str, Path]:
    """Every module of the three packages and its file."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    named = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in named.items()}


def test_planning_knows_training_by_its_schedule_alone():
    heavy = [
        f"{name} imports {one}"
        for name, file in modules().items()
        if room_of(name) == "sweeps.planning"
        for one, _ in imports(file.read_text())
        if one.startswith("transfusion.training") and not one.startswith("transfusion.training.schedule.")
    ]
    assert heavy == []
    light = [file for name, file in modules().items() if name == "transfusion.training.schedule"]
    assert {one.split(".")[0] for one, _ in imports(light[0].read_text())} == {
        "__future__", "dataclasses", "transfusion",
    }  # fmt: skip


def test_every_room_has_its_line_in_the_contract():
    assert {room_of(module) for module in modules()} == set(ROOMS)


def test_no_import_runs_against_the_contract():
    assert [line for name, file in modules().items() for line in broken(name, file.read_text())] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("transfusion.training.fitting", "import ray"),
        ("transfusion.data.dataset", "from sweeps.planning import plan"),
        ("transfusion.images.png", "from transfusion.data.dataset import Dataset"),
        ("sweeps.planning.plan", "from sweeps.execution import executor"),
        ("sweeps.execution.executor", "from sweeps.inputs import data"),
        ("analysis.tables.store", "import torch"),
        ("analysis.statistics.areas", "from analysis.claims import verdicts"),
        ("analysis.figures.areas", "def f():\n    from scipy import stats"),
        ("analysis.figures.areas", "from analysis.claims.drawn import Drawn"),
        ("analysis.figures.areas", "if TYPE_CHECKING:\n    from analysis.statistics import areas"),
        ("analysis.figures.areas", "from analysis.statistics import curves"),
        ("analysis.report.page", "from transfusion import cell"),
    ],
)
def test_a_broken_contract_is_found(module, line):
    assert broken(module, line)


def test_the_contract_has_no_circle():
    """No room reaches itself, so that there is an order in which to read them."""
    inner = {room: {r for r in may if r in ROOMS and r not in PACKAGES} for room, may in ROOMS.items()}

    def reached(room: str, seen: set[str]) -> set[str]:
        for other in inner[room] - seen:
            seen |= {other}
            seen |= reached(other, seen)
        return seen

    assert [room for room in inner if room in reached(room, set())] == []


MOST_PARAMETERS = 7


def parameters(text: str) -> dict[str, int]:
    """Function -> how many parameters it takes, `self` and `cls` not counted."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            found[node.name] = len([name for name in names if name not in ("self", "cls")])
    return found


def test_no_function_takes_more_than_seven_parameters():
    """What belongs together is handed over as one value: `Study`, `Machine`, `Options`, `Phantom`, ..."""
    assert parameters("def f(self, a, /, b, *, c=1): pass") == {"f": 3}
    long = {
        f"{module}.{name}": count
        for module, file in modules().items()
        if not module.startswith("analysis")
        for name, count in parameters(file.read_text()).items()
        if count > MOST_PARAMETERS
    }
    assert long == {}
