"""What is wrong with what the user gave: options, settings, data and weights, all of it in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, zip_longest

SHOWN_PROBLEMS = 20


class SettingError(ValueError):
    """A cell or recipe that cannot be run: the option, what was found, what was expected."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data, in the words that the user reads.

    Attributes:
        where: file and row, or option.
        found: what is there.
        expected: what should be there; with `advice` it names the kind of problem.
        advice: what to do about it.
    """

    where: str
    found: str
    expected: str
    advice: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}, expected {self.expected}; {self.advice}"


class InputError(ValueError):
    """Data that cannot be used.

    Attributes:
        problems: everything that was found, in one go. `str()` shows at most 20, of every kind some, and
            counts the rest.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        kinds: dict[tuple[str, str], list[Problem]] = {}
        for problem in self.problems:
            kinds.setdefault((problem.expected, problem.advice), []).append(problem)
        in_turn = (problem for row in zip_longest(*kinds.values()) for problem in row if problem is not None)
        shown = set(islice(in_turn, SHOWN_PROBLEMS))
        lines = [f"- {problem}" for group in kinds.values() for problem in group if problem in shown]
        lines = lines[:SHOWN_PROBLEMS]
        hidden = len(self.problems) - len(lines)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''} with the data:"
        return "\n".join([count, *lines, *([f"- and {hidden} more"] if hidden else [])])
