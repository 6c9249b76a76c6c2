"""Tables of the report: claims, contrasts, levels, the study's findings and published numbers."""

from __future__ import annotations

import re

import pandas as pd

from analysis.claims.robust import changed
from analysis.claims.same import once
from analysis.names import init_name
from analysis.report.render import Fold, Table, probability, table
from analysis.report.wording import (
    EFFECTS,
    EXPECTED,
    FROZEN,
    SEEDS,
    column,
    counted,
    difference,
    digits_of,
    interval,
    level,
    levels_interval,
    one_seed,
    repeated,
    without,
)
from analysis.statistics.catalogue import AREAS, CURVES, MEASURES
from analysis.tables.networks import Networks

BY_CONJECTURE: dict[int, tuple[str, ...]] = {
    1: ("train_loss", "convergence_epochs", "spikes", "spike_height", "spike_recovery_steps"),
    2: ("test_auroc", "test_auprc", "official_auroc", "official_study_auroc", "train_loss"),
}
ALONE = (
    "What rests on one seed stands without an interval: one over its patients alone would say nothing of "
    "another seed. The intervals over patients are in the table (columns low, high)."
)
GAINS = ("test_auroc", "test_auprc", "official_auroc")


def claims(rows: pd.DataFrame) -> Table | None:
    """The claims of one conjecture that were tested, each number once; rows of `verdicts`.

    A reason that all of them share is left to `one_reason`.
    """
    shared = bool(one_reason(rows))
    rows = once(rows)
    return table(
        pd.DataFrame(
            {
                "question": rows["question"],
                "found": [EFFECTS.get(effect, effect) for effect in rows["effect"]],
                f"difference {interval(rows)}": [
                    f"{difference(row, without(rows))} {row['unit']}" for _, row in rows.iterrows()
                ],
                "interval for all looks together": [repeated(row) for _, row in rows.iterrows()],
                "smallest that matters": [f"{margin:g}" for margin in rows["margin"]],
                "n": [counted(row) for _, row in rows.iterrows()],
                "decided after": [f"{look:.0f} seeds" if pd.notna(look) else "" for look in rows["look"]],
                "why": "" if shared else rows["because"],
                "claim": [
                    f"{verdict}{'' if needed else ' (stands beside)'}"
                    for verdict, needed in zip(rows["verdict"], rows["needed"].astype(bool), strict=True)
                ],
            }
        ),
        "verdicts.parquet",
    )


def one_reason(rows: pd.DataFrame) -> str:
    """The reason that all tested claims of one conjecture share, as a sentence; empty for one claim alone, or
    for several reasons."""
    reasons = once(rows)["because"].tolist()
    return f"Why, for all of them: {reasons[0]}" if len(reasons) > 1 and len(set(reasons)) == 1 else ""


def robustness(rows: pd.DataFrame) -> Table | None:
    """A row per alternative that was judged: the conjectures' verdicts, and the claims whose verdict changes;
    rows of `robustness`."""
    rows = rows[rows["not_available"].isna()]
    shown = []
    for name, mine in rows.groupby("alternative", sort=False):
        overall = mine[mine["claim"] == "overall"].set_index("conjecture")["verdict"]
        other = changed(mine[mine["claim"] != "overall"])
        told = [
            f"{question} {verdict} instead of {before}"
            for question, verdict, before in zip(
                other["question"], other["verdict"], other["as_judged"], strict=True
            )
        ]
        shown.append(
            {
                "judged with": name,
                **{f"conjecture {number}": verdict for number, verdict in overall.items()},
                "claims that change": "; ".join(told),
            }
        )
    return table(pd.DataFrame(shown), "robustness.parquet")


def tests(rows: pd.DataFrame) -> Fold | None:
    """The tests of the claims of one conjecture; rows of `verdicts`."""
    rows = once(rows)
    shown = table(
        pd.DataFrame(
            {
                "question": rows["question"],
                "the claim expects": [EXPECTED.get(word, word) for word in rows["expects"]],
                "p, supports": [probability(p) for p in rows["p_supported"]],
                "p, refutes": [probability(p) for p in rows["p_refuted"]],
                "effect found in four of five such grids": [
                    f"{value:.{digits_of(metric)}f}" if pd.notna(value) else "none"
                    for value, metric in zip(rows["smallest_effect"], rows["metric"], strict=True)
                ],
                "likely worse, same, better": [_likely(row) for _, row in rows.iterrows()],
                "chance between runs": [SEEDS.get(word, word) for word in rows["seed_part"]],
            }
        ),
        "verdicts.parquet",
    )
    if shown is None:
        return None
    note = (
        "p: of the test that supports the claim and of the one that refutes it, times the number of tests. "
        "Worse and better: by the smallest effect that matters; how likely, by the estimate alone."
    )
    about = "p-values, what this grid could find, and how likely worse, about the same and better are"
    return Fold("The tests in numbers", about, (shown,), (note,))


def _likely(row: pd.Series) -> str:
    """`3 %, 90 %, 7 %`; empty where it is not known."""
    shares = [row[f"likely_{how}"] for how in ("worse", "same", "better")]
    return (
        ""
        if any(pd.isna(share) for share in shares)
        else ", ".join(f"{100 * share:.0f} %" for share in shares)
    )


def behind(conjecture: int, estimates: pd.DataFrame, networks: Networks) -> Fold | None:
    """What stands behind a conjecture besides its claims; rows of `estimates`."""
    if conjecture in BY_CONJECTURE:
        shown = _levels_from_scratch(BY_CONJECTURE[conjecture], estimates, networks)
        one = len(set(_levels(estimates)["train_images"])) == 1
        about = f"every network from scratch{'' if one else ', at the smallest and the largest size'}"
        return Fold("The networks one by one", about, (shown,), _alone(estimates)) if shown else None
    kinds = ("gain", "power_law") if conjecture == 3 else ("difference",)
    chosen = estimates["kind"].isin(kinds) & estimates["architecture"].isna()
    rows = estimates[chosen & estimates["metric"].isin(GAINS)]
    differences = rows["kind"] != "power_law"
    shown = table(
        pd.DataFrame(
            {
                "measure": [MEASURES[metric].label for metric in rows["metric"]],
                "what": [_said(row) for _, row in rows.iterrows()],
                f"value {levels_interval(rows)}": [
                    difference(row, "" if one_seed(row) else " (no interval)") if signed else level(row)
                    for signed, (_, row) in zip(differences, rows.iterrows(), strict=True)
                ],
                "n": [counted(row) for _, row in rows.iterrows()],
            }
        ),
        "estimates.parquet",
    )
    if shown is None:
        return None
    about = "gain per doubling, size by size" if conjecture == 3 else "every comparison at every size"
    return Fold("More estimates", f"{about}, mean of the networks", (shown,), _alone(estimates))


def _said(row: pd.Series) -> str:
    """What a row of `estimates` compares, in words."""
    if row["kind"] == "power_law":
        return {"exponent": "exponent of the power law", "promised": "promised at ten times the data"}[
            row["contrast"]
        ]
    if row["kind"] == "gain":
        return f"gain per doubling, {re.sub('[0-9]{4,}', _in_full, str(row['contrast']))}"
    where = {
        "one": f"at {row['train_images']:,.0f} images" if pd.notna(row["train_images"]) else "",
        "mean": "mean of the sizes",
        "trend": "change per doubling of the data",
    }[row["sizes"]]
    words = [init_name(word) for word in str(row["contrast"]).split(" ")]
    return f"{' '.join(words)}, {where}"


def _in_full(number: re.Match[str]) -> str:
    return f"{int(number[0]):,}"


def _levels_from_scratch(
    metrics: tuple[str, ...], estimates: pd.DataFrame, networks: Networks
) -> Table | None:
    """A row per network from scratch, at the smallest and the largest size."""
    rows = _levels(estimates)
    rows = rows[(rows["init"] == "random") & rows["metric"].isin(metrics)]
    rows = rows[rows["train_images"].isin(rows["train_images"].agg(["min", "max"]))]
    if rows.empty:
        return None
    wide = _wide(rows, ["architecture", "train_images"], metrics, networks)
    wide = wide.sort_values("train_images", ascending=False, kind="stable")
    return table(_named(wide, networks), "estimates.parquet")


def levels(estimates: pd.DataFrame, networks: Networks) -> Fold | None:
    """A row per condition: its areas on both splits, then training loss, convergence and spikes."""
    rows = _levels(estimates)
    axes = ["architecture", "train_images", "init", "freeze"]
    found = []
    for metrics in (AREAS, CURVES):
        part = rows[rows["metric"].isin(metrics)]
        if len(part):
            shown = table(
                _named(_wide(part, axes, metrics, networks), networks),
                "estimates.parquet",
                stack=False,
                wide=True,
            )
            found += [shown] if shown else []
    about = "areas on both splits; training loss, convergence and spikes; a row for each"
    return Fold("Every condition", about, tuple(found), _alone(estimates)) if found else None


def _alone(estimates: pd.DataFrame) -> tuple[str, ...]:
    """Why levels of one seed have no interval, where there are any."""
    return (ALONE,) if (_levels(estimates)["seeds"] == 1).any() else ()


def _levels(estimates: pd.DataFrame) -> pd.DataFrame:
    usual = (estimates["balance"] == "natural") & (estimates["subset"] == 0)
    return estimates[(estimates["kind"] == "level") & usual]


def _wide(rows: pd.DataFrame, axes: list[str], metrics: tuple[str, ...], networks: Networks) -> pd.DataFrame:
    shown = rows.assign(text=[level(row) for _, row in rows.iterrows()])
    wide = shown.pivot_table(index=axes, columns="metric", values="text", aggfunc="first", sort=False)
    wide = wide.reindex(columns=[m for m in metrics if m in wide]).reset_index()
    place = {name: k for k, name in enumerate(networks.ordered(set(wide["architecture"])))}
    return wide.sort_values("architecture", key=lambda names: names.map(place), kind="stable")


def _named(wide: pd.DataFrame, networks: Networks) -> pd.DataFrame:
    """Values and headings in words."""
    wide = wide.assign(architecture=[networks[name].network for name in wide["architecture"]])
    if "init" in wide:
        wide = wide.assign(init=[start(name) for name in wide["init"]])
    if "freeze" in wide:
        wide = wide.assign(freeze=[FROZEN.get(word, word) for word in wide["freeze"]])
    names = {name: _heading(name) for name in wide.columns}
    return wide.rename(columns=names)


def _heading(name: str) -> str:
    if name not in MEASURES:
        return column(name)
    measure = MEASURES[name]
    return measure.label if measure.unit in measure.label else f"{measure.label} ({measure.unit})"


def start(init: str) -> str:
    """Where weights come from, for a cell of a table."""
    return "scratch" if init == "random" else init_name(init)


def failed(trials: pd.DataFrame, networks: Networks) -> Table | None:
    """The cells that failed and why; rows of `trials`."""
    rows = trials[trials["status"] == "failed"]
    columns = ["cell_id", "architecture", "train_images", "init", "freeze", "seed", "failure", "error"]
    known = {"architecture": [networks[one].network if pd.notna(one) else "" for one in rows["architecture"]]}
    known["init"] = [start(one) if pd.notna(one) else "" for one in rows["init"]]
    known["freeze"] = [FROZEN.get(one, one) for one in rows["freeze"]]
    return table(rows[columns].assign(**known).rename(columns=column), "trials.parquet")


def flagged(trials: pd.DataFrame, networks: Networks) -> Table | None:
    """The cells with a flag; rows of `trials`."""
    flags = {"still_falling": "still falling", "collapsed": "collapsed"}
    rows = trials[trials[list(flags)].fillna(False).any(axis=1)]
    said = [
        ", ".join(text for name, text in flags.items() if row[name] is True) for _, row in rows.iterrows()
    ]
    columns = ["cell_id", "architecture", "train_images", "init", "freeze", "seed", "learning_rate"]
    shown = {
        "architecture": [networks[one].network for one in rows["architecture"]],
        "init": [start(one) for one in rows["init"]],
        "freeze": [FROZEN.get(one, one) for one in rows["freeze"]],
        "learning_rate": [f"{rate:.2g}" if pd.notna(rate) else "" for rate in rows["learning_rate"]],
    }
    return table(rows[columns].assign(**shown, flag=said).rename(columns=column), "trials.parquet")


def labels(record: object) -> Table | None:
    """Patients, images and labels of every trained finding in each part; `labels` of the table `sweep`."""
    if not isinstance(record, list) or not record or not all(isinstance(row, dict) for row in record):
        return None
    rows = pd.DataFrame(record)
    names = [name for name in LABEL_COLUMNS if name in rows]
    return table(rows[names].rename(columns=column), "sweep.parquet, name labels")


LABEL_COLUMNS = (
    "finding", "part", "patients", "images", "positive", "negative", "uncertain", "uncertain_became", "blank",
    "blank_became", "trained_positive", "trained_negative", "ignored",
)  # fmt: skip


def study_results(rows: pd.DataFrame, verdicts: pd.DataFrame) -> Table | None:
    """The study's findings that were tested, beside ours; rows of `findings`."""
    rows = rows[rows["estimate"].notna()]
    return table(
        pd.DataFrame(
            {
                "the study found": rows["finding"],
                "figure": rows["figure"],
                "published": rows["published"],
                f"ours {interval(rows)}": [
                    f"{difference(row, without(rows))} {row['unit']}" for _, row in rows.iterrows()
                ],
                "smallest that matters": [f"{margin:g}" for margin in rows["margin"]],
                "n": [counted(row) for _, row in rows.iterrows()],
                "here": rows["verdict"],
                "note": [_elsewhere(row, verdicts) for _, row in rows.iterrows()],
            }
        ),
        "findings.parquet",
    )


def _elsewhere(row: pd.Series, verdicts: pd.DataFrame) -> str:
    """Where the same estimate stands under a conjecture with another outcome, and why that can be."""
    agree = {"reproduced": "supported", "not reproduced": "refuted", "undecided": "undecided"}
    same = verdicts[
        (verdicts["metric"] == row["metric"])
        & (verdicts["estimate"] == row["estimate"])
        & (verdicts["low"] == row["low"])
    ]
    other = same[same["verdict"] != agree.get(str(row["verdict"]))]
    if other.empty:
        return ""
    one = other.iloc[0]
    return (
        f"Under conjecture {one['conjecture']:.0f} the same estimate is {one['verdict']}: another claim, "
        "corrected for another number of tests."
    )


def published(rows: pd.DataFrame, networks: Networks) -> Table | None:
    """Published AUROC beside ours, where there is an ours; rows of `published`."""
    rows = rows[rows["estimate"].notna()].assign(metric="test_auroc")
    return table(
        pd.DataFrame(
            {
                "network": [networks[name].network for name in rows["architecture"]],
                "data": rows["data"] + ", " + rows["finding"],
                "images": [f"{int(n):,}" if pd.notna(n) else "all" for n in rows["train_images"]],
                "starts from": [start(name) for name in rows["init"]],
                "published": rows["published_auroc"],
                f"ours {levels_interval(rows)}": [level(row) for _, row in rows.iterrows()],
                "n": [counted(row) for _, row in rows.iterrows()],
            }
        ),
        "published.parquet",
    )
