"""Verdicts that were printed before: whoever adds seeds after seeing them has tested more than once.

`OUT/judged.json` keeps what every analysis said, one entry for each number of seeds that claims were tested
with. What was fixed beforehand (`analysis.claims.looks`) corrects for looks; nothing corrects afterwards,
since the first analysis spent the whole level. Then the report says so: n analyses, each wrong in at most
5 %, are wrong in at most n x 5 %.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims.judged import LEVEL
from analysis.tables.store import write_json

FILE = "judged.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Earlier:
    """One analysis: how many seeds its tests rested on, and its verdicts by `conjecture: claim`."""

    seeds: int
    verdicts: dict[str, str]


def of_table(verdicts: pd.DataFrame) -> Earlier | None:
    """What is to be kept of a table of verdicts; None where no claim was tested."""
    tested = verdicts[verdicts["p_supported"].notna() | verdicts["p_refuted"].notna()]
    if tested.empty:
        return None
    names = verdicts["conjecture"].astype(str) + ": " + verdicts["claim"]
    return Earlier(int(tested["seeds"].max()), dict(zip(names, verdicts["verdict"], strict=True)))


def read(out: Path) -> list[Earlier]:
    """What earlier analyses of `out` said, by number of seeds; none where the file is absent or damaged."""
    try:
        data: Any = json.loads((out / FILE).read_text(encoding="utf-8"))
        found = [Earlier(int(one["seeds"]), dict(one["verdicts"])) for one in data["judged"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(found, key=lambda one: one.seeds)


def keep(out: Path, now: Earlier | None) -> None:
    """Add what is said now; an analysis of as many seeds as an earlier one takes its place."""
    if now is None:
        return
    before = read(out)
    entries = sorted([*(one for one in before if one.seeds != now.seeds), now], key=lambda one: one.seeds)
    if entries == before:
        return
    data = {"schema": SCHEMA, "judged": [{"seeds": one.seeds, "verdicts": one.verdicts} for one in entries]}
    write_json(out / FILE, data)


def told(before: list[Earlier], now: Earlier | None, looks: int) -> str:
    """What earlier verdicts do to these ones, as sentences; empty where there are none.

    Args:
        looks: 0 where nothing was fixed beforehand; else all looks together, which count as one analysis.
    """
    others = [one for one in before if now is None or looks or one.seeds != now.seeds]
    if not others:
        return ""
    count = len(others) + 1
    listed = " and ".join(", ".join(str(one.seeds) for one in others).rsplit(", ", 1))
    changed = sorted(
        {
            name
            for one in others
            for name, verdict in one.verdicts.items()
            if now is not None and verdict != now.verdicts.get(name, verdict)
        }
    )
    text = (
        f"Verdicts were printed before, with {listed} seeds; these are not corrected for that and cannot be: "
        f"the first analysis spent the whole level. All {count} together are wrong in at most "
        f"{100 * LEVEL * count:.0f} % of such studies, not {100 * LEVEL:.0f} %."
    )
    if changed:
        text += f" Other verdicts than before: {', '.join(changed)}."
    if not looks:
        text += " Seeds that are added in looks fixed beforehand (--until-decided) cost nothing of it."
    return text
