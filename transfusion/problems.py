"""What is wrong with what the user gave: options, settings, data and weights, all of it in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, zip_longest

SHOWN_PROBLEMS = 20

FEW_OF_A_KIND, SHOWN_OF_A_KIND = 6, 3
"""Of more than so many problems of a kind, so many are shown, and the others counted."""


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
        problems: everything that was found, in one go. `str()` shows at most 20, of every kind a few, and
            counts the others.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        kinds: dict[tuple[str, str], list[Problem]] = {}
        for problem in self.problems:
            kinds.setdefault((problem.expected, problem.advice), []).append(problem)
        listed = {
            kind: group if len(group) <= FEW_OF_A_KIND else group[:SHOWN_OF_A_KIND]
            for kind, group in kinds.items()
        }
        in_turn = (problem for row in zip_longest(*listed.values()) for problem in row if problem is not None)
        shown = set(islice(in_turn, SHOWN_PROBLEMS))
        lines, told = [], 0
        for kind, group in listed.items():
            here = [f"- {problem}" for problem in group if problem in shown]
            lines += here
            told += len(here)
            if here and (others := len(kinds[kind]) - len(group)):
                lines.append(f"- {others:,} more of the same kind")
                told += others
        hidden = len(self.problems) - told
        count = f"{len(self.problems):,} problem{'s' if len(self.problems) != 1 else ''} with the data:"
        return "\n".join([count, *lines, *([f"- and {hidden:,} more"] if hidden else [])])
