"""python -m analysis OUT: tables, figures, verdicts and report of a sweep."""

from __future__ import annotations

import argparse
import sys

from analysis.run import run
from analysis.schema import EvidenceError


def main(arguments: list[str] | None = None) -> int:
    """Status 0 on success, 2 on arguments or evidence that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument(
        "out", help="the --out folder of a sweep, or a folder that holds evidence/*.parquet alone"
    )
    options = parser.parse_args(arguments)
    try:
        summary = run(options.out)
    except EvidenceError as problem:
        print(f"analysis: {problem}", file=sys.stderr)
        return 2
    counts = summary.counts
    print(
        f"cells: {counts['planned']} planned, {counts['done']} done, {counts['failed']} failed, {counts['missing']} missing"
    )
    print(f"figures  {summary.figures}")
    print(f"report   {summary.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
