"""The tool that makes small faults: each is another program, and a tree without tests of a module is told."""

import ast
import importlib.util
from pathlib import Path

import pytest

PLACE = Path(__file__).with_name("mutants.py")
PROGRAM = '''
LIMIT = 5

def kept(values, most):
    """Those of the right size, ümlauts before them."""
    return "größer", [v for v in values if not v < 0 and v * 2 + 1 <= most or v is None][-1]
'''


@pytest.fixture(scope="module")
def mutants():
    spec = importlib.util.spec_from_file_location("mutants", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_fault_is_another_program_at_its_own_place(mutants):
    found = set()
    for node in mutants.faults(ast.parse(PROGRAM)):
        if (wrong := mutants.make_wrong(node)) is not None:
            text = mutants.replaced(PROGRAM, node, wrong)
            assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(PROGRAM))
            assert "LIMIT = 5" in text
            found.add(f"{ast.unparse(node)} -> {ast.unparse(wrong)}")
    assert {
        "not v < 0 -> v < 0", "v < 0 -> v >= 0", "v * 2 -> v / 2", "2 -> 3", "v is None -> v is not None",
        "v * 2 + 1 <= most -> v * 2 + 1 > most", "-1 -> 1", "v * 2 + 1 -> v * 2 - 1",
    } <= found  # fmt: skip
    assert len(found) == 12, "and the other operator, and three numbers"


def test_tests_are_those_that_import_the_module_its_own_first(mutants):
    found = mutants.tests_of("analysis.statistics.chance", PLACE.parents[1])
    assert found[0] == "tests/analysis/statistics/test_chance.py"
    assert "tests/analysis/claims/test_looks.py" in found
    assert mutants.tests_of("sweeps.planning.nothing", PLACE.parents[1]) == ["tests/sweeps/planning"]
