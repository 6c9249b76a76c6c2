"""Do the tests notice small faults? `python tests/mutants.py analysis/statistics [--each 10] [--seed 0]`.

A copy of the tree gets one fault at a time: a comparison flipped, a sign, a constant, `and` for `or`, a `not`
dropped. The default tests that import the module run on it, and those that `--also` names. Faults that no
test noticed are listed, to be read one by one: some change no result.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APART = ("faults", "gpu", "benchmarks", "helpers")
LIBRARIES = (
    "ray.tune",
    "pytorch_lightning",
    "torchvision",
    "statsmodels.api",
    "sklearn.metrics",
)
OPTIONS = (
    *("-q", "-x", "-n", "0", "-p", "no:cacheprovider"),
    *("-W", "ignore:Module already imported"),  # as the libraries are, on purpose
)
FLIPPED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def faults(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node of functions that can be made wrong."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in [n for statement in function.body for n in ast.walk(statement)]:
                number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
                negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub)
                if number or negated or isinstance(node, ast.Compare | ast.BinOp | ast.BoolOp):
                    yield node


def make_wrong(node: ast.AST) -> ast.AST | None:
    """The node with a fault; None where it has none to offer."""
    wrong = copy.deepcopy(node)
    if isinstance(wrong, ast.Constant):
        wrong.value = wrong.value + 1
    elif isinstance(wrong, ast.UnaryOp):
        return wrong.operand
    elif isinstance(wrong, ast.Compare) and type(wrong.ops[0]) in FLIPPED:
        wrong.ops[0] = FLIPPED[type(wrong.ops[0])]()
    elif isinstance(wrong, ast.BinOp | ast.BoolOp) and type(wrong.op) in FLIPPED:
        wrong.op = FLIPPED[type(wrong.op)]()
    else:
        return None
    return wrong


def replaced(text: str, node: ast.AST, new: ast.AST) -> str:
    """`text` with the source of `node` in brackets as that of `new`."""
    lines = text.encode().splitlines(keepends=True)
    before = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    after = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    raw = text.encode()
    return (raw[:before] + f"({ast.unparse(new)})".encode() + raw[after:]).decode()


def tests_of(module: str, tree: Path) -> list[str]:
    """Test files that import `module` (as `sweeps.planning.plan`), those named after it first."""
    package, name = module.rsplit(".", 1)
    found = []
    for file in sorted((tree / "tests").rglob("test_*.py")):
        place = file.relative_to(tree)
        if place.parts[1] in APART:
            continue
        named = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if module in named:
            found.append((f"test_{name}" != file.stem, str(place)))
    return [place for _, place in sorted(found)] or [f"tests/{package.replace('.', '/')}"]


def noticed(tree: Path, tests: list[str], seconds: float) -> bool:
    """Whether some test fails, or does not end. In a fork, which need not import the libraries again."""
    child = os.fork()
    if child == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)
        sys.path[0] = str(tree)
        sys.dont_write_bytecode = True
        status = 70
        try:
            status = int(pytest.main([*OPTIONS, *tests]))
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main() -> int:
    """The command; 1 where the tests fail without a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("room", help="a folder of modules, as analysis/statistics")
    parser.add_argument("--only", nargs="*", default=[], metavar="MODULE", help="these of its modules")
    parser.add_argument("--each", type=int, default=10, help="faults per module (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="TESTS", help="further tests, as files or folders"
    )
    parser.add_argument(
        "--tests", nargs="*", default=[], metavar="TESTS", help="these alone, not all that import the module"
    )
    options = parser.parse_args()
    for library in LIBRARIES:
        importlib.import_module(library)
    found, survivors = 0, []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        shutil.copytree(
            ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "results", "*.egg-info")
        )
        for module in sorted((tree / options.room).glob("*.py")):
            if module.stem == "__init__" or (options.only and module.stem not in options.only):
                continue
            name = f"{options.room.replace('/', '.')}.{module.stem}"
            tests = [*(options.tests or tests_of(name, tree)), *options.also]
            start = time.monotonic()
            if noticed(tree, tests, 600):
                print(f"{' '.join(tests)} fail without any fault", flush=True)
                return 1
            took = time.monotonic() - start
            text = module.read_text(encoding="utf-8")
            pairs = [
                (node, wrong) for node in faults(ast.parse(text)) if (wrong := make_wrong(node)) is not None
            ]
            chosen = random.Random(f"{options.seed} {module.name}").sample(
                pairs, min(options.each, len(pairs))
            )
            unnoticed, place = [], module.relative_to(tree)
            for node, wrong in chosen:
                module.write_text(replaced(text, node, wrong), encoding="utf-8")
                if not noticed(tree, tests, 10 + 3 * took):
                    unnoticed.append(f"{node.lineno}: {ast.unparse(node)} -> {ast.unparse(wrong)}")
                    print(f"    {place}:{unnoticed[-1]}", flush=True)
            module.write_text(text, encoding="utf-8")
            found_of = f"{len(chosen) - len(unnoticed)} of {len(chosen)}"
            print(f"{place}: {found_of}, {took:.0f} s, {' '.join(tests)}", flush=True)
            found += len(chosen) - len(unnoticed)
            survivors += unnoticed
    print(f"{options.room}: {found} of {found + len(survivors)} faults noticed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
