"""The looks of one OUT as `OUT/looks.json` keeps them: fixed before the first, each added once it is taken.

Weights, claims, margins, recipe and grid are fixed with the number of seeds of every look. Behind the planned
looks lie reserved ones, fixed too (half as many seeds again each time, at half of what is left of a tenth of
the level), so that whoever adds one chooses neither when nor at what level to test.

What a look said of the claims is kept whole: rejections are final, whatever happens to cells later.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.claims.conjectures import CLAIMS, Claim
from analysis.claims.judged import Judged, Verdict
from analysis.claims.looks import Looks, planned_looks
from analysis.statistics.catalogue import Margins
from analysis.statistics.chance import Chance
from analysis.statistics.estimate import Estimate
from analysis.tables.schema import EvidenceError
from analysis.tables.store import write_json

FILE = "looks.json"
SCHEMA = 1
DEFAULT_SEEDS = (3, 4, 5, 6, 8)
RESERVE = 0.1
"""Share of the level that is kept for looks that are added."""
RESERVED_LOOKS = 4

Json = dict[str, Any]


class LooksError(ValueError):
    """Looks that were fixed otherwise: what was found, what is fixed, what to do."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One look, taken.

    Attributes:
        seeds: how many seeds it rested on.
        judged: what it said of every claim.
        claims, conjectures: verdicts that it reached, by name and by number.
        open: names of the claims that stayed open.
        too_few_patients: of those that no number of seeds will decide, and that are closed for that.
        needs: axes, as the plan names them, of the conditions that those need further seeds of.
        cells: ids of all cells that it rested on.
    """

    seeds: int
    judged: tuple[Judged, ...]
    claims: dict[str, Verdict]
    conjectures: dict[int, Verdict]
    open: tuple[str, ...]
    too_few_patients: tuple[str, ...]
    needs: tuple[Json, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What is fixed, and the looks taken so far.

    Attributes:
        planned: number of looks that are asked for; those behind them are reserved.
        looks: all of them, the reserved ones too.
        fixed: what else may not change: `until`, `margins`, `claims`, `grid`, `recipe`.
    """

    planned: int
    looks: Looks
    fixed: Json
    taken: tuple[Taken, ...] = ()

    @property
    def asked(self) -> Looks:
        """The looks that are asked for."""
        return Looks(self.looks.seeds[: self.planned], self.looks.weights[: self.planned])

    @property
    def all_claims(self) -> bool:
        """Whether seeds are added until every claim is decided; else until every conjecture is."""
        return bool(self.fixed["until"]["decided"] == "claims")

    @property
    def margins(self) -> Margins:
        """The margins that are fixed."""
        return Margins(**self.fixed["margins"])

    def with_taken(self, taken: Taken) -> Record:
        """This record and one more look."""
        return dataclasses.replace(self, taken=(*self.taken, taken))


def fresh(seeds: Sequence[int], fixed: Json) -> Record:
    """Looks that are fixed now.

    Raises:
        LooksError: the numbers of seeds do not ascend from at least two.
    """
    try:
        planned = planned_looks(seeds, RESERVE)
        further = [planned.seeds[-1]]
        for _ in range(RESERVED_LOOKS):
            further.append(further[-1] + math.ceil(further[-1] / 2))
        weights = [RESERVE / 2 ** min(k + 1, RESERVED_LOOKS - 1) for k in range(RESERVED_LOOKS)]
        looks = Looks((*planned.seeds, *further[1:]), (*planned.weights, *weights))
    except ValueError as error:
        raise LooksError(f"--looks: {error}") from error
    return Record(len(planned.seeds), looks, fixed)


def fixed_by(until: str, margins: Mapping[str, float], grid: Json, recipe: Json) -> Json:
    """What may not change between looks, besides the looks themselves.

    Args:
        until: what is to be decided, `conjectures` or `claims`.
        margins: where they differ from the usual ones.
        grid: values by axis; the seed is none of them.
        recipe: settings of training.
    """
    fixed = {
        "until": {"decided": until},
        "margins": dataclasses.asdict(Margins().with_changes(dict(margins))),
        "claims": {claim.name: _definition(claim) for claim in CLAIMS},
        "grid": grid,
        "recipe": recipe,
    }
    return dict(json.loads(json.dumps(fixed)))


def _definition(claim: Claim) -> str:
    """A digest of all that a claim tests; its words may change."""
    tested = {
        name: value
        for name, value in dataclasses.asdict(claim).items()
        if name not in ("question", "quantity")
    }
    return hashlib.sha256(json.dumps(tested, sort_keys=True).encode()).hexdigest()[:12]


def fix(out: Path, seeds: Sequence[int] | None, fixed: Json, *, write: bool) -> Json:
    """The looks of `out`, fixed now where they were not; as JSON, as the file keeps them.

    Args:
        seeds: those that are asked for; None for those that are fixed, or the usual ones.
        write: keep them; else nothing is written.

    Raises:
        LooksError: other looks, margins, claims, axes or settings are fixed there.
        EvidenceError: the file cannot be read.
    """
    before = read(out)
    if before is None:
        record = fresh(seeds or DEFAULT_SEEDS, fixed)
    else:
        problems = [*_other_looks(before, seeds), *_differences(before.fixed, fixed)]
        if problems:
            raise LooksError(
                f"{out / FILE}: looks are fixed before the first and stay; "
                + "; ".join(problems)
                + ". Give the command that they were fixed with, or name another --out"
            )
        record = dataclasses.replace(before, planned=max(before.planned, len(seeds or ())))
    if write and (before is None or record.planned != before.planned):
        store(out, record)
    return to_json(record)


def _other_looks(record: Record, seeds: Sequence[int] | None) -> list[str]:
    """What is wrong with the looks that are asked for, where others are fixed."""
    if seeds is None or tuple(seeds) == record.looks.seeds[: max(len(seeds), record.planned)]:
        return []
    planned = " ".join(map(str, record.asked.seeds))
    reserved = " ".join(map(str, record.looks.seeds[record.planned :])) or "none is left"
    return [
        f"--looks: found {' '.join(map(str, seeds))}, fixed is {planned} (reserved, to be added in this "
        f"order: {reserved})"
    ]


def _differences(fixed: Json, asked: Json) -> list[str]:
    """What is asked for otherwise than it is fixed, name by name."""
    found = []
    for part in fixed:
        mine, theirs = asked.get(part, {}), fixed[part]
        for name in sorted({*mine, *theirs}):
            if mine.get(name) == theirs.get(name):
                continue
            if part == "claims":
                found.append(f"claim {name}: this version of the package tests it otherwise")
            else:
                what = "--until-decided" if part == "until" else f"{part}, {name}"
                found.append(f"{what}: found {_said(mine, name)}, fixed is {_said(theirs, name)}")
    return found


def _said(values: Json, name: str) -> str:
    value = values.get(name, "none")
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def read(out: Path) -> Record | None:
    """The looks of `out`; None if there are none.

    Raises:
        EvidenceError: the file cannot be read.
    """
    file = out / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvidenceError(f"{file}: found no file that can be read ({error.strerror})") from error
    try:
        return from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{file}: found no valid record of looks ({error!r}), expected schema {SCHEMA}; bring back a "
            "copy of it: without it nothing tells which verdicts have been reached"
        ) from error


def store(out: Path, record: Record) -> None:
    """Keep the record: the file is replaced whole."""
    write_json(out / FILE, to_json(record))


def to_json(record: Record) -> Json:
    """The record as plain values; numbers that are not finite as text."""
    return {
        "schema": SCHEMA,
        "planned": record.planned,
        "seeds": list(record.looks.seeds),
        "weights": list(record.looks.weights),
        "fixed": record.fixed,
        "taken": [
            {
                "seeds": one.seeds,
                "claims": one.claims,
                "conjectures": {str(number): verdict for number, verdict in one.conjectures.items()},
                "open": list(one.open),
                "too_few_patients": list(one.too_few_patients),
                "needs": list(one.needs),
                "cells": list(one.cells),
                "judged": [_plain(j) for j in one.judged],
            }
            for one in record.taken
        ],
    }


def from_json(data: Json) -> Record:
    """What `to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']}")
    taken = tuple(
        Taken(
            one["seeds"],
            tuple(_judged(j) for j in one["judged"]),
            dict(one["claims"]),
            {int(number): verdict for number, verdict in one["conjectures"].items()},
            tuple(one["open"]),
            tuple(one["too_few_patients"]),
            tuple(one["needs"]),
            tuple(one["cells"]),
        )
        for one in data["taken"]
    )
    looks = Looks(tuple(data["seeds"]), tuple(data["weights"]))
    return Record(int(data["planned"]), looks, data["fixed"], taken)


def _plain(judged: Judged) -> Json:
    values = {field.name: getattr(judged, field.name) for field in dataclasses.fields(judged)}
    found = _plain_estimate(judged.found) if judged.found is not None else None
    readings = [_plain_estimate(one) for one in judged.readings]
    values = {**_floats(Judged, values), "claim": judged.claim.name, "found": found, "readings": readings}
    return {name: _finite(value) for name, value in values.items()}


def _plain_estimate(found: Estimate) -> Json:
    values = _floats(Estimate, dataclasses.asdict(found))
    values["chance"] = _floats(Chance, values["chance"]) if values["chance"] is not None else None
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def _judged(data: Json) -> Judged:
    claims = {claim.name: claim for claim in CLAIMS}
    likely, found = data["likely"], data["found"]
    return Judged(
        **{
            **_floats(Judged, data),
            "claim": claims[data["claim"]],
            "found": _estimate(found) if found is not None else None,
            "likely": tuple(likely) if likely is not None else None,
            "readings": tuple(_estimate(one) for one in data["readings"]),
        }
    )


def _estimate(data: Json) -> Estimate:
    chance = data["chance"]
    return Estimate(
        **{
            **_floats(Estimate, data),
            "networks_missing": tuple(data["networks_missing"]),
            "networks_alone": tuple(data.get("networks_alone", ())),
            "chance": Chance(**_floats(Chance, chance)) if chance is not None else None,
        }
    )


def _floats(kind: type, data: Json) -> Json:
    """The values with those that are real numbers of `kind` as such."""
    reals = {field.name for field in dataclasses.fields(kind) if field.type == "float"}
    return {name: float(value) if name in reals else value for name, value in data.items()}
