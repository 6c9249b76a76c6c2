"""Do the tests notice small faults? `python tests/mutants.py analysis/statistics [--each 10] [--seed 0]`.

A copy of the tree gets one fault at a time: a comparison flipped, a sign, a constant, `and` for `or`, a `not`
dropped. The tests of the same room run on it, and those that `--also` names. Faults that no test noticed are
listed, to be read one by one: some change no result.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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


def noticed(tree: Path, tests: list[str], seconds: float) -> bool:
    """Whether some test fails, or does not end."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    try:
        return (
            subprocess.run(command, cwd=tree, capture_output=True, timeout=seconds, check=False).returncode
            != 0
        )
    except subprocess.TimeoutExpired:
        return True


def main() -> int:
    """The command; 1 where the tests fail without a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("room", help="a folder of modules, as analysis/statistics")
    parser.add_argument("--each", type=int, default=10, help="faults per module (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="TESTS", help="further tests, as files or folders"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "results", "*.egg-info"))
        tests = [f"tests/{options.room}", *options.also]
        start = time.monotonic()
        if noticed(tree, tests, 3600):
            print(f"{' '.join(tests)} fail without any fault")
            return 1
        limit = 30 + 3 * (time.monotonic() - start)
        found, survivors = 0, []
        for module in sorted((tree / options.room).glob("*.py")):
            text = module.read_text(encoding="utf-8")
            pairs = [
                (node, wrong) for node in faults(ast.parse(text)) if (wrong := make_wrong(node)) is not None
            ]
            chosen = random.Random(f"{options.seed} {module.name}").sample(
                pairs, min(options.each, len(pairs))
            )
            for node, wrong in chosen:
                module.write_text(replaced(text, node, wrong), encoding="utf-8")
                if noticed(tree, tests, limit):
                    found += 1
                else:
                    place = f"{module.relative_to(tree)}:{node.lineno}"
                    survivors.append(f"{place}: {ast.unparse(node)} -> {ast.unparse(wrong)}")
                    print(survivors[-1], flush=True)
            module.write_text(text, encoding="utf-8")
            print(f"{module.name}: {found} of {found + len(survivors)} noticed so far", flush=True)
    print(f"{options.room}: {found} of {found + len(survivors)} faults noticed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
