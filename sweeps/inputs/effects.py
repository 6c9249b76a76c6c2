"""Options that can have no effect, and labels whose meaning nobody said: refused, with what they need.

docs/splits.md goes through every option of the command.
"""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.options.values import Options
from transfusion.cell import IN_DOMAIN
from transfusion.data.part_counts import PartCounts
from transfusion.layouts.readers import READERS
from transfusion.problems import Problem

OF_A_TABLE = {
    "--path-column": "path_column",
    "--patient-column": "patient_column",
    "--part-column": "part_column",
}
BOTH = {"--views": "views", "--blank": "blank", "--uncertain": "uncertain"}
"""Options that are settings of the recipe, too."""


@dataclass(frozen=True)
class Said:
    """What the user said about labels and views, by an option of its own or by `--recipe`.

    Attributes:
        policies: (option as it was written, finding) for every policy of -1.
        blank, views: the option as it was written; empty where nothing was said.
    """

    policies: tuple[tuple[str, str], ...] = ()
    blank: str = ""
    views: str = ""


def said(options: Options) -> Said:
    """What `options`, already found well-formed, say about labels and views."""
    policies = [(f"--uncertain {text}", text.partition("=")[0]) for text in options.uncertain]
    found = {name: f"--{name} {value}" for name in ("blank", "views") if (value := getattr(options, name))}
    for assignment in options.recipe:
        name, _, value = assignment.partition("=")
        if name in ("blank", "views"):
            found[name] = f"--recipe {assignment}"
        if name == "uncertain":
            policies += [(f"--recipe {assignment}", finding) for finding, _ in json.loads(value)]
    return Said(tuple(policies), found.get("blank", ""), found.get("views", ""))


def without_effect(options: Options, trained: Sequence[str]) -> list[Problem]:
    """Options that change nothing, whatever the data hold, and options that contradict each other.

    Args:
        trained: the findings that the grid trains, upstream ones too.
    """
    told = said(options)
    nothing = READERS[options.dataset].without
    problems = _twice(options)
    for option, name in OF_A_TABLE.items():
        value = getattr(options, name)
        if value is not None and options.dataset != "table":
            expected = "a table of your own (--dataset table)"
            problems.append(Problem(f"{option} {value}", options.dataset, expected, "drop the option"))
    uses = {"views": [told.views], "blank": [told.blank], "uncertain": [text for text, _ in told.policies]}
    for name, texts in uses.items():
        if what := nothing.get(name):
            expected = "data for which it changes something"
            problems += [Problem(text, what, expected, "drop the option") for text in texts if text]
    if "uncertain" not in nothing:
        problems += [
            _untrained(text, finding, trained) for text, finding in told.policies if finding not in trained
        ]
    given = {"--distinct-ids": options.distinct_ids, "--skip-missing": options.skip_missing}
    if options.data is None:
        expected = "data of your own (--data)"
        idle = [name for name in given if given[name]]
        problems += [Problem(name, "the embedded phantom", expected, "drop the option") for name in idle]
    price = options.gpu_price
    if price is not None and not (math.isfinite(price) and price >= 0):
        problems.append(Problem("--gpu-price", f"{price:g}", "a price of at least 0", "correct the option"))
    if options.prune and options.dry_run:
        advice = "drop one of them: --prune by itself lists, and removes only when asked again"
        problems.append(Problem("--prune --dry-run", "both", "one of them", advice))
    return problems


def _twice(options: Options) -> list[Problem]:
    """Settings that are given twice, of which only the last would count."""
    names = [assignment.partition("=")[0] for assignment in options.recipe]
    given = [f"--recipe {name}" for name in names]
    given += [f"--recipe {name}" for option, name in BOTH.items() if getattr(options, name) and name in names]
    given += [f"--uncertain {text.partition('=')[0]}" for text in options.uncertain]
    return [
        Problem(option, f"{times} values", "one", "name it once, here or by its own option")
        for option, times in Counter(given).items()
        if times > 1
    ]


def _untrained(text: str, finding: str, trained: Sequence[str]) -> Problem:
    folded = {name.casefold().replace(" ", ""): name for name in trained}
    near = difflib.get_close_matches(finding.casefold().replace(" ", ""), folded, n=1)
    upstream = f"--inits {' '.join(IN_DOMAIN)} for that one"
    advice = (
        f"write {folded[near[0]]}"
        if near
        else f"drop the option, or train the finding (--finding, or {upstream})"
    )
    return Problem(text, repr(finding), f"a finding that is trained: {', '.join(trained)}", advice)


def meaning_problems(options: Options, counts: Sequence[PartCounts], trained: Sequence[str]) -> list[Problem]:
    """Policies for labels that the data do not have, and labels of a user's own table without a policy."""
    told = said(options)
    uncertain = {name: _total(counts, name, "uncertain") for name in trained}
    blank = {name: _total(counts, name, "blank") for name in trained}
    where = ", ".join(trained)
    problems = []
    for text, finding in told.policies:
        if uncertain.get(finding) == 0:
            problems.append(Problem(text, f"no label -1 of {finding}", "some", "drop the option"))
    if told.blank and not any(blank.values()):
        problems.append(Problem(told.blank, f"no empty label of {where}", "some", "drop the option"))
    if options.dataset != "table":
        return problems
    named = {finding for _, finding in told.policies}
    for finding, number in uncertain.items():
        if number and finding not in named:
            advice = f"give one: --uncertain {_quoted(finding)}=ones, =zeros or =ignore"
            problems.append(
                _unsaid(f"column {finding!r}", f"{number:,} label{'s' if number > 1 else ''} -1", advice)
            )
    if any(blank.values()) and not told.blank:
        found = ", ".join(
            f"{number:,} empty label{'s' if number > 1 else ''} of {name}"
            for name, number in blank.items()
            if number
        )
        advice = "say so: --blank zeros (they are negative) or --blank ignore (they are left out)"
        problems.append(_unsaid("the table", found, advice))
    return problems


def _unsaid(where: str, found: str, advice: str) -> Problem:
    return Problem(where, found, "to be told what they mean", advice)


def _quoted(finding: str) -> str:
    return f'"{finding}"' if " " in finding else finding


def _total(counts: Sequence[PartCounts], finding: str, name: str) -> int:
    return sum(int(getattr(one, name)) for one in counts if one.finding == finding)
