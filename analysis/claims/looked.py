"""What the looks of an OUT say: a look is taken once all of its cells have finished, and stands from then on.

Between two looks nothing is decided, whatever is looked at: verdicts are those of the last look.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims.conjectures import CLAIMS, Claim, Grid, grid_of
from analysis.claims.judged import Judged
from analysis.claims.look_record import Json, Record, Taken
from analysis.claims.looks import Decision, beyond_seeds, conditions_of, decide, repeated_interval
from analysis.claims.verdict_table import verdict_table
from analysis.claims.verdicts import judge
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.measures import Measures
from analysis.tables.conditions import CONDITION, Condition, conditions, filled
from analysis.tables.origins import origins
from analysis.tables.store import Evidence

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Looked:
    """The looks of an OUT and what they have decided.

    Attributes:
        record: with the look that was taken now, if one was.
        now: what the claims look like on what there is; shown before the first look, when nothing is judged.
    """

    record: Record
    decision: Decision
    now: tuple[Judged, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether no further look is to be taken."""
        taken = self.record.taken
        return bool(taken) and (len(taken) >= self.record.planned or not taken[-1].open)

    def shown(self) -> list[Judged]:
        """Every claim as the look says that decided it, or else the last look at which it was open."""
        if not self.record.taken:
            first = f"Nothing is judged before the first look, after {self.record.looks.seeds[0]} seeds."
            return [
                dataclasses.replace(
                    j, p_supported=NAN, p_refuted=NAN, verdict="undecided", effect="unknown", likely=None,
                    hindered=first,
                )
                for j in self.now
            ]  # fmt: skip
        return [self._at(claim) for claim in CLAIMS]

    def _at(self, claim: Claim) -> Judged:
        """What is shown of a claim."""
        taken = self.record.taken
        if claim.name in self.decision.claims:
            look = self.decision.claims[claim.name].look
        else:
            look = max(i for i in range(len(taken)) if i == 0 or claim.name in taken[i - 1].open)
        one = next(j for j in taken[look].judged if j.claim.name == claim.name)
        if claim.name in taken[look].too_few_patients and one.found is not None:
            few = f"No number of seeds will do: {one.found.patients:,} test patients are too few."
            return dataclasses.replace(one, hindered=few)
        return one

    def verdicts(self, natural: str | None, in_domain: str) -> pd.DataFrame:
        """The table `verdicts`, with the look that decided each and intervals that hold at all looks."""
        shown = self.shown()
        decided = {number: one.verdict for number, one in self.decision.conjectures.items()}
        table = verdict_table(shown, natural, decided, in_domain=in_domain)
        if not self.record.taken:
            return table
        seeds = self.record.looks.seeds
        at = {("overall", number): seeds[one.look] for number, one in self.decision.conjectures.items()}
        numbers = {claim.name: claim.conjecture for claim in CLAIMS}
        at |= {(name, numbers[name]): seeds[one.look] for name, one in self.decision.claims.items()}
        ends = {j.claim.name: _within_bounds(j) for j in shown}
        keys = list(zip(table["claim"], table["conjecture"], strict=True))
        return table.assign(
            look=pd.array([at.get(key) for key in keys], dtype="Int64"),
            repeated_low=[ends.get(name, (NAN, NAN))[0] for name, _ in keys],
            repeated_high=[ends.get(name, (NAN, NAN))[1] for name, _ in keys],
        )


def _within_bounds(judged: Judged) -> tuple[float, float]:
    """The repeated interval, no wider than what is possible of a difference of areas."""
    low, high = repeated_interval(judged)
    return (max(low, -1.0), min(high, 1.0)) if MEASURES[judged.claim.metric].area else (low, high)


def looked(evidence: Evidence, measures: Measures, record: Record) -> Looked:
    """The looks of `record`, and the next one if all of its cells have finished."""
    grid, natural = grid_of(measures, evidence.natural), evidence.natural
    step = len(record.taken)
    weight = record.looks.weights[min(step, record.planned - 1)]
    tests = max((j.tests for one in record.taken for j in one.judged), default=1)
    now: tuple[Judged, ...] = ()
    if not step or is_due(evidence.trials, record):
        now = tuple(judge(measures, natural, record.margins, share=weight, tests=tests))
    if is_due(evidence.trials, record):
        record = record.with_taken(_taken(evidence.trials, measures, grid, record, now))
    return Looked(record, _decision(record, [one.judged for one in record.taken], grid, measures), now)


def is_due(trials: pd.DataFrame, record: Record) -> bool:
    """Whether the next look is to be taken: its plan is in `trials`, and none of its cells is missing."""
    step = len(record.taken)
    if step >= record.planned or (step and not record.taken[-1].open):
        return False
    grid = trials[trials["kind"].fillna("grid") == "grid"]
    planned = set(grid["seed"]) == set(range(record.looks.seeds[step]))
    return planned and not (trials["status"] == "missing").any()


def _taken(
    trials: pd.DataFrame, measures: Measures, grid: Grid, record: Record, judged: tuple[Judged, ...]
) -> Taken:
    """The look that `judged` is the evidence of."""
    evidence = [*(one.judged for one in record.taken), judged]
    decision = _decision(record, evidence, grid, measures)
    look = len(evidence) - 1
    closed = {name for one in record.taken for name in one.too_few_patients}
    closed |= {j.claim.name for j in judged if j.found is None}
    to_come = record.looks.weights[look + 1 :]
    asked = [j for j in judged if j.claim.name in decision.open and j.claim.name not in closed]
    too_few = {j.claim.name for j in asked if to_come and beyond_seeds(j, max(to_come))}
    open_claims = [j.claim for j in asked if j.claim.name not in too_few]
    return Taken(
        seeds=record.looks.seeds[look],
        judged=judged,
        claims={name: one.verdict for name, one in decision.claims.items() if one.look == look},
        conjectures={n: one.verdict for n, one in decision.conjectures.items() if one.look == look},
        open=tuple(claim.name for claim in open_claims),
        too_few_patients=tuple(sorted(too_few)),
        needs=tuple(_needs(trials, open_claims, grid, measures)),
        cells=tuple(sorted(trials["cell_id"])),
    )


def _decision(
    record: Record, evidence: Sequence[Sequence[Judged]], grid: Grid, measures: Measures
) -> Decision:
    return decide(record.asked, evidence, grid, measures.architectures, record.all_claims)


def _needs(trials: pd.DataFrame, claims: Sequence[Claim], grid: Grid, measures: Measures) -> list[Json]:
    """Axes of the planned conditions that `claims` are estimated from, as the plan names them."""
    cells = trials[trials["kind"].fillna("grid") == "grid"]
    arms = cells.assign(init=origins(trials).arms.loc[cells.index])
    planned: dict[Condition, Json] = dict(zip(conditions(arms), axes_of(cells), strict=True))
    needed: set[Condition] = set()
    for claim in claims:
        for name in claim.architectures or measures.architectures:
            mine = conditions_of(claim, grid, name)
            if mine and mine <= planned.keys():
                needed |= mine
    return [axes for one, axes in planned.items() if one in needed]


def axes_of(cells: pd.DataFrame) -> list[Json]:
    """The values of every row's axes besides the seed, as the plan has them."""
    named = filled(cells)[list(CONDITION)].to_dict("records")
    whole = ("train_images", "subset")
    return [{str(name): int(v) if name in whole else v for name, v in row.items()} for row in named]
