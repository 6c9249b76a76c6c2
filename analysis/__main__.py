"""python -m analysis OUT: tables, verdicts, figures and report of a sweep."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

from analysis.checks.catalogue import CODES
from analysis.run import run
from analysis.statistics.catalogue import Margins
from analysis.tables.from_tune import read_experiment
from analysis.tables.place import alone
from analysis.tables.schema import TRIALS, EvidenceError
from analysis.terminal import Lasting, print_summary


def margin(text: str) -> tuple[str, float]:
    """`auroc=0.02` as a name and a number."""
    name, _, value = text.partition("=")
    names = [field.name for field in fields(Margins)]
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if name not in names or not number > 0:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; expected NAME=NUMBER with a NAME of {', '.join(names)} and a NUMBER above 0"
        )
    return name, number


def metric(text: str) -> tuple[str, str]:
    """`test_auroc=test/auc` as our name and the experiment's."""
    ours, _, theirs = text.partition("=")
    known = [column.name for column in TRIALS if str(column.type) == "double"]
    if ours not in known or not theirs:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; expected OURS=THEIRS with OURS one of {', '.join(known)}"
        )
    return ours, theirs


def version() -> str:
    """The version of this code, and where it lies: another `analysis` on the path would be told by that."""
    root = Path(__file__).resolve().parent.parent
    try:
        found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    except (OSError, ValueError, KeyError):
        installed = importlib.metadata.distributions(name="transfusion-sweep", path=[str(root)])
        found = next((one.version for one in installed), "of an unknown version")
    return f"{found}, in {root}"


def main(arguments: list[str] | None = None) -> int:
    """Status 0 on success, 2 on arguments or evidence that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument(
        "out", type=Path, help="the --out folder of a sweep, or a folder of evidence/*.parquet alone"
    )
    parser.add_argument(
        "--margin", type=margin, action="append", default=[], metavar="NAME=NUMBER",
        help="smallest effect that matters: auroc (fraction), loss (nats) or spikes (per run); may be "
             "repeated",
    )  # fmt: skip
    parser.add_argument(
        "--from-tune", type=Path, metavar="DIR",
        help="first read a plain Ray Tune experiment, whose configurations carry the axes, into OUT",
    )  # fmt: skip
    parser.add_argument(
        "--metric", type=metric, action="append", default=[], metavar="OURS=THEIRS",
        help="with --from-tune: what the experiment calls one of our metrics, such as "
             "test_auroc=test/auc; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--mute", action="append", default=[], metavar="CODE", choices=CODES,
        help="a check whose doubt you have looked at, such as TS003 (docs/checks.md); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--to", type=Path, metavar="DIR",
        help="write tables, figures and report to DIR and nothing to OUT, such as one that is read-only",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"%(prog)s {version()}")
    options = parser.parse_args(arguments)
    if options.metric and options.from_tune is None:
        parser.error("--metric: found no --from-tune; expected one, or no --metric")
    try:
        if options.from_tune is not None:
            with alone(options.out):
                said = read_experiment(options.from_tune, options.out, dict(options.metric)).text()
                Lasting().print(said, markup=False, highlight=False, soft_wrap=True)
        summary = run(options.out, dict(options.margin), options.to, options.mute)
    except EvidenceError as problem:
        print(f"analysis: {problem}", file=sys.stderr)
        return 2
    print_summary(summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
