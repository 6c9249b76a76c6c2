"""Looks on simulated grids: how often decisions are wrong, what they find, and what they cost.

Every grid is drawn once, with all the seeds of the last look, and judged on its first seeds at each look;
cells that no open claim needs are not paid for. Beside it stand a fixed number of seeds, judged once, and a
user who looks after every seed and takes the first decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.calibration.cases import Case, Planted, plant, right_overall
from analysis.calibration.costs import gpu_hours, upstream_hours
from analysis.calibration.simulate import draw
from analysis.claims.conjectures import CONJECTURES, grid_of
from analysis.claims.judged import Judged
from analysis.claims.looks import Looks, decide
from analysis.claims.verdicts import judge, overall
from analysis.statistics.measures import Measures
from analysis.tables.conditions import conditions


@dataclass(frozen=True)
class Prefixes:
    """The same plan cut to its first seeds, prepared once for all grids.

    Attributes:
        rows: number of seeds -> rows of the whole plan.
        templates: number of seeds -> the cut plan.
    """

    rows: dict[int, NDArray[np.intp]]
    templates: dict[int, Measures]


def prefixes(whole: Measures, counts: Sequence[int]) -> Prefixes:
    """Cut the plan of `whole` to its first seeds."""
    seeds = whole.cells["seed"].to_numpy()
    rows = {count: np.flatnonzero(seeds < count) for count in counts}
    return Prefixes(
        rows, {n: Measures(whole.cells.iloc[mine].reset_index(drop=True)) for n, mine in rows.items()}
    )


def first_seeds(measures: Measures, count: int, cut: Prefixes) -> Measures:
    """The results of the first `count` seeds."""
    rows = cut.rows[count]
    covariance = {name: matrix[np.ix_(rows, rows)] for name, matrix in measures.covariance.items()}
    cells = measures.cells.iloc[rows].reset_index(drop=True)
    return cut.templates[count].with_results(
        cells, covariance, measures.patients, measures.positives, measures.freedom
    )


def looked_at(case: Case, looks: Looks, fixed: int, numbers: Sequence[int]) -> pd.DataFrame:
    """Grids of a case under three procedures: a row per grid and procedure.

    Args:
        case: with as many seeds as the last look, or the fixed design, needs.
        fixed: seeds of the design that is judged once.

    Returns:
        Columns `grid`, `procedure` (`looks`, `fixed`, `every seed`), `any_wrong` (claims), `hours`, `seeds`
        at the end, and `right_1` to `right_4`, `wrong_1` to `wrong_4` for the conjectures.

    Raises:
        ValueError: the case has too few seeds.
    """
    most = max(looks.seeds[-1], fixed)
    if case.seeds < most:
        raise ValueError(f"{case}: expected {most} seeds, as many as the last look or the fixed design has")
    it = plant(case)
    every = range(2, looks.seeds[-1] + 1)
    cut = prefixes(it.design.template, sorted({*looks.seeds, fixed, *every}))
    hours = gpu_hours(it.design.template.cells)
    rows = []
    for number in numbers:
        measures = draw(it.design, np.random.default_rng([case.entropy, 2, number]))
        found: dict[int, list[Judged]] = {}

        at = partial(_judged, case, it, cut, measures, found)
        rows += [
            {"grid": number, "procedure": "looks", **with_looks(it, looks, at, hours)},
            {"grid": number, "procedure": "fixed", **fixed_seeds(it, at(fixed), fixed, hours)},
            {"grid": number, "procedure": "every seed", **every_seed(it, at, every, hours)},
        ]
    return pd.DataFrame(rows)


At = Callable[[int], list[Judged]]
"""What is judged on the first seeds of one grid."""


def _judged(
    case: Case, it: Planted, cut: Prefixes, measures: Measures, found: dict[int, list[Judged]], seeds: int
) -> list[Judged]:
    """What is judged on the first `seeds` seeds; `found` keeps it."""
    if seeds not in found:
        part = first_seeds(measures, seeds, cut)
        found[seeds] = judge(part, "natural", case.setting.margins, it.claims)
    return found[seeds]


def with_looks(it: Planted, looks: Looks, at: At, hours: NDArray[np.float64]) -> dict[str, object]:
    """One grid in looks: what is decided, and what it costs.

    Args:
        hours: of every planned cell [cells].
    """
    cells = it.design.template.cells
    names = conditions(cells)
    grid, networks = grid_of(it.design.template, "natural"), it.design.template.architectures
    evidence: list[list[Judged]] = []
    paid, before = 0.0, 0
    decision = decide(looks, evidence, grid, networks)
    while decision.next_seeds is not None:
        now = (cells["seed"] >= before) & (cells["seed"] < decision.next_seeds)
        if evidence:
            now &= np.array([name in decision.cells for name in names])
        paid += float(hours[now].sum()) + upstream_hours(cells[now])
        before = decision.next_seeds
        evidence.append(at(before))
        decision = decide(looks, evidence, grid, networks)
    claims = {name: one.verdict for name, one in decision.claims.items()}
    return _scored(it, claims, {k: one.verdict for k, one in decision.conjectures.items()}, paid, before)


def fixed_seeds(
    it: Planted, judged: list[Judged], seeds: int, hours: NDArray[np.float64]
) -> dict[str, object]:
    """The same grid with a fixed number of seeds, judged once."""
    claims = {j.claim.name: j.verdict for j in judged}
    whole = {k: overall([j for j in judged if j.claim.conjecture == k]) for k in CONJECTURES}
    return _scored(it, claims, whole, _paid(it, seeds, hours), seeds)


def every_seed(it: Planted, at: At, every: range, hours: NDArray[np.float64]) -> dict[str, object]:
    """The same grid, judged after each of these seeds at the whole level, the first decisions taken."""
    claims: dict[str, str] = {}
    whole: dict[int, str] = {}
    seeds = every[0]
    for seeds in every:
        for j in at(seeds):
            if j.verdict != "undecided":
                claims.setdefault(j.claim.name, j.verdict)
        for k in CONJECTURES:
            verdict = overall([j for j in at(seeds) if j.claim.conjecture == k])
            if verdict != "undecided":
                whole.setdefault(k, verdict)
        if len(whole) == len(CONJECTURES):
            break
    return _scored(it, claims, whole, _paid(it, seeds, hours), seeds)


def _paid(it: Planted, seeds: int, hours: NDArray[np.float64]) -> float:
    cells = it.design.template.cells
    mine = (cells["seed"] < seeds).to_numpy()
    return float(hours[mine].sum()) + upstream_hours(cells[mine])


def _scored(
    it: Planted, claims: Mapping[str, str], whole: Mapping[int, str], hours: float, seeds: int
) -> dict[str, object]:
    rights = {claim.name: right for claim, right in zip(it.claims, it.rights, strict=True)}
    wrong_claims = any(claims.get(name, "undecided") not in (rights[name], "undecided") for name in rights)
    row: dict[str, object] = {"hours": hours, "seeds": seeds, "any_wrong": wrong_claims}
    for k in CONJECTURES:
        right, verdict = right_overall(it.claims, it.rights, k), whole.get(k, "undecided")
        row[f"right_{k}"], row[f"wrong_{k}"] = verdict == right, verdict not in (right, "undecided")
    return row
