"""Does a verdict change with a choice of the analyst? One choice at a time, everything else as it was judged.

The choices: AUROC or average precision, test or official split, per image or per study (these three in every
combination), one network left out, one order of the nested subsets by itself, runs that failed or collapsed
at their worst or left out, half and double the margin. Every alternative is judged by the very tests of the
verdict; that there are many is not corrected for, since nothing is decided by them. What the evidence cannot
answer has a row that says why.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims.conjectures import CLAIMS, CONJECTURES, Claim
from analysis.claims.judged import Judged
from analysis.claims.verdicts import judge, overall
from analysis.names import init_name
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.tables.networks import Networks
from analysis.tables.schema import ROBUSTNESS

AS_JUDGED = "as judged"
FACTORS = {"half the margin": 0.5, "double the margin": 2.0}
LAST_EPOCH = "only the predictions of the best epoch are kept; the training loss is that of the last one"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to judge the same cells.

    Attributes:
        choice: `measure`, `network`, `subset`, `runs`, `margin` or `epoch`; empty for the verdict itself.
        name: which alternative, in words.
        metric: the area in place of `test_auroc`.
        without: a network that is left out.
        subset: the only order of the nested subsets; None for all.
        reading: `worst` or `left out` of doubtful runs; empty for both, as they are judged.
        factor: of the margins.
        unavailable: why the evidence cannot tell; else empty.
    """

    choice: str
    name: str
    metric: str = "test_auroc"
    without: str = ""
    subset: int | None = None
    reading: str = ""
    factor: float = 1.0
    unavailable: str = ""


def alternatives(measures: Measures, networks: Networks) -> Iterator[Alternative]:
    """The verdict itself, then every alternative, those that are not available with the reason."""
    yield Alternative("", AS_JUDGED)
    for split, study, area in itertools.product(("test", "official"), ("", "study_"), ("auroc", "auprc")):
        metric = f"{split}_{study}{area}"
        if metric == "test_auroc":
            continue
        name = f"{area.upper()} on the {split} split{' per study' if study else ''}"
        lacks = "" if metric in measures.patients else f"no predictions on the {split} split"
        if lacks and study and f"{split}_{area}" in measures.patients:
            lacks = "the predictions name no studies"
        yield Alternative("measure", name, metric, unavailable=lacks)
    yield Alternative("epoch", "last epoch", unavailable=LAST_EPOCH)
    for network in measures.architectures:
        lacks = "" if len(measures.architectures) > 1 else "it is the only network"
        yield Alternative(
            "network", f"without {networks[network].network}", without=network, unavailable=lacks
        )
    for subset in measures.subsets if len(measures.subsets) > 1 else ():
        yield Alternative("subset", f"order {subset} of the subsets alone", subset=subset)
    none = "" if measures.doubtful.any() else "no run failed or ended at chance"
    yield Alternative("runs", "failed runs at their worst", reading="worst", unavailable=none)
    yield Alternative("runs", "failed runs left out", reading="left out", unavailable=none)
    for name, factor in FACTORS.items():
        yield Alternative("margin", name, factor=factor)


def robustness_table(
    measures: Measures, natural: str | None, margins: Margins, networks: Networks
) -> pd.DataFrame:
    """The table `robustness`: every claim and conjecture under every alternative."""
    rows: list[dict[str, object]] = []
    first: dict[str, str] = {}
    name = init_name(natural) if natural else "natural images"

    def named(text: str) -> str:
        return text.replace("{natural}", name).replace("{in_domain}", init_name(measures.in_domain))

    for one in alternatives(measures, networks):
        found = None if one.unavailable else _judged(measures, natural, margins, one)
        for key, row in _rows(one, found):
            first.setdefault(key, str(row["verdict"]))
            row["question"] = named(str(row["question"]))
            rows.append({**row, "as_judged": first[key], "same": _same(row["verdict"], first[key])})
    return pd.DataFrame(rows, columns=[c.name for c in ROBUSTNESS])


def _same(verdict: object, first: str) -> bool | None:
    return None if verdict is None else verdict == first


def _judged(measures: Measures, natural: str | None, margins: Margins, one: Alternative) -> list[Judged]:
    """All claims under one alternative."""
    claims: Sequence[Claim] = CLAIMS
    if one.choice == "measure":
        claims = [
            dataclasses.replace(claim, metric=one.metric) if claim.metric == "test_auroc" else claim
            for claim in CLAIMS
        ]
    if one.without:
        measures = measures.where("architecture", lambda name: name != one.without)
    if one.subset is not None:
        measures = measures.where("subset", lambda subset: subset == one.subset)
    if one.reading:
        measures = measures.read_as(worst=one.reading == "worst")
    if one.factor != 1:
        margins = Margins(**{name: one.factor * value for name, value in dataclasses.asdict(margins).items()})
    return judge(measures, natural, margins, claims)


def _rows(one: Alternative, found: Sequence[Judged] | None) -> Iterator[tuple[str, dict[str, object]]]:
    """Of every conjecture its claims, but for those that the alternative does not touch, then its own row."""
    for conjecture, title in CONJECTURES.items():
        said = {
            "conjecture": conjecture,
            "choice": one.choice or None,
            "alternative": one.name,
            "not_available": one.unavailable or None,
        }
        mine = [j for j in found or () if j.claim.conjecture == conjecture]
        for claim in (claim for claim in CLAIMS if claim.conjecture == conjecture):
            if one.choice in ("measure", "epoch") and claim.metric != "test_auroc":
                continue
            j = next((j for j in mine if j.claim.name == claim.name), None)
            yield claim.name, {**said, "claim": claim.name, "question": claim.question, **_found(j)}
        verdict = overall(mine) if found is not None else None
        yield str(conjecture), {**said, "claim": "overall", "question": title, "verdict": verdict}


def _found(j: Judged | None) -> dict[str, object]:
    """What is written of a judged claim; nulls where it was not."""
    if j is None:
        return {"verdict": None}
    fields = ("estimate", "low", "high", "seeds", "patients")
    return {
        "metric": j.claim.metric,
        **{name: getattr(j.found, name, None) for name in fields},
        "margin": j.margin,
        "verdict": j.verdict if j.found is not None else None,
        "effect": j.effect,
        "needed": j.claim.needed,
    }


def changed(rows: pd.DataFrame) -> pd.DataFrame:
    """Alternatives whose verdict differs from the one that stands; rows of one claim or conjecture."""
    return rows[rows["same"].eq(False).fillna(False).astype(bool)]


def sentence(rows: pd.DataFrame, verdict: str = "The verdict") -> str:
    """Whether the verdict of one claim or conjecture rests on a choice; its rows of `robustness`.

    Args:
        verdict: how the sentence begins.
    """
    tried = rows[rows["choice"].notna() & rows["verdict"].notna()]
    if tried.empty:
        return ""
    stands, other = str(rows["as_judged"].iloc[0]), changed(tried)
    ways = f"{len(tried)} other ways to judge the same cells"
    if other.empty:
        return f"{verdict} ({stands}) is the same in all of {ways}."
    told = "; ".join(
        f"{outcome} {_listed(mine['alternative'])}" for outcome, mine in other.groupby("verdict")
    )
    count = f"({len(other)} of {ways})"
    if stands == "undecided":
        return f"{verdict} is undecided as judged, but {told} {count}."
    rests = "one choice" if len(other) == 1 else f"{len(other)} choices"
    turned = " One of them turns it round." if (other["verdict"] != "undecided").any() else ""
    return f"{verdict} rests on {rests}: {stands} as judged, but {told} {count}.{turned}"


def _listed(names: pd.Series) -> str:
    """`with AUPRC on the test split, without ResNet-50`."""
    return ", ".join(name if name.startswith("without ") else f"with {name}" for name in names)


def rests(table: pd.DataFrame, conjecture: int) -> list[str]:
    """What of a conjecture rests on a choice: its verdict, and its decided claims, as sentences."""
    mine = table[table["conjecture"] == conjecture]
    said = []
    names = ["overall", *(claim for claim in mine["claim"].unique() if claim != "overall")]
    for claim in names:
        rows = mine[mine["claim"] == claim]
        stands, whole = str(rows["as_judged"].iloc[0]), claim == "overall"
        turns = changed(rows[rows["choice"].notna()])
        if stands == "undecided" and (not whole or turns.empty):
            continue
        if whole or len(turns):
            said.append(
                sentence(rows) if whole else f"{rows['question'].iloc[0]} {sentence(rows, 'Its verdict')}"
            )
    return said


def missing_choices(table: pd.DataFrame) -> str:
    """Choices that the evidence cannot make, in a sentence; empty if it can make all."""
    rows = table[table["not_available"].notna()].drop_duplicates("alternative")
    if rows.empty:
        return ""
    told = [
        f"{', '.join(mine['alternative'])} ({why})" for why, mine in rows.groupby("not_available", sort=False)
    ]
    return f"Not available: {'; '.join(told)}."


def in_margins(table: pd.DataFrame) -> pd.DataFrame:
    """Claims that are needed, in every alternative, with effects in units of that alternative's margin.

    Columns besides: `effect_in_margins`, `low_in_margins`, `high_in_margins`. Claims without an estimate as
    judged are left out, and of two that are one test the second.
    """
    claims = table[table["claim"] != "overall"]
    plain = claims[claims["choice"].isna() & claims["estimate"].notna()]
    plain = plain[plain["needed"].astype(bool)]
    numbers = plain[["estimate", "low", "high"]].astype(float).round(9)
    kept = plain[~plain[["conjecture", "metric"]].join(numbers).duplicated()]
    rows = claims[claims["claim"].isin(kept["claim"])]
    margin = rows["margin"].astype(float)
    ends = {"effect": "estimate", "low": "low", "high": "high"}
    return rows.assign(**{f"{name}_in_margins": rows[of].astype(float) / margin for name, of in ends.items()})
