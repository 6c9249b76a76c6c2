"""Images with values outside of the range that their data set is read by, and what would hold all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transfusion.images.reading import named, range_in_use
from transfusion.problems import Problem


@dataclass(frozen=True)
class OutOfRange(Problem):
    """An image with values outside of the range that the data set is read by.

    Attributes:
        low: the smaller of its smallest value and the range's.
        high: the larger of its largest value and the range's.
        integers: whether its values are whole numbers.
    """

    low: float
    high: float
    integers: bool


def summarised(problems: Sequence[Problem]) -> list[Problem]:
    """`problems`, those of values out of range as one that says which range would hold all of them."""
    outside = [problem for problem in problems if isinstance(problem, OutOfRange)]
    rest = [problem for problem in problems if not isinstance(problem, OutOfRange)]
    if not outside:
        return rest
    low, high = min(one.low for one in outside), max(one.high for one in outside)
    fits = named(*range_in_use(low, high, all(one.integers for one in outside)))
    found = f"values from {low:,.10g} to {high:,.10g} in {_counted(outside)}"
    advice = f"give --intensity {fits}, if these values are meant; else mend or drop these images"
    return [*rest, Problem(outside[0].where, found, outside[0].expected, advice)]


def _counted(problems: Sequence[Problem], shown: int = 3) -> str:
    names = [problem.where for problem in problems]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names):,} image{'s' if len(names) != 1 else ''} ({', '.join(names[:shown])}{more})"
