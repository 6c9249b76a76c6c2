"""Tables of the report: claims, contrasts, levels, findings and published numbers, with the rows shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures.draw import level_rows
from analysis.names import init_name
from analysis.report.html import escape, number, paragraph, table
from analysis.tables.networks import Networks

LEVEL_METRICS = (
    "test_auroc", "test_auprc", "test_study_auroc", "test_study_auprc", "official_auroc", "official_auprc",
    "official_study_auroc", "official_study_auprc", "train_loss", "convergence_epochs", "spikes",
    "spike_height", "spike_recovery_steps",
)  # fmt: skip
BY_CONJECTURE: dict[int, tuple[str, ...]] = {
    1: ("train_loss", "convergence_epochs", "spikes", "spike_height", "spike_recovery_steps"),
    2: ("test_auroc", "test_auprc", "official_auroc", "official_study_auroc", "train_loss"),
}
GAINS = ("test_auroc", "test_auprc", "official_auroc")


def with_interval(row: pd.Series) -> str:
    """An estimate with its interval, where it has one."""
    value, low, high = (row[name] for name in ("estimate", "low", "high"))
    if value is None or not np.isfinite(value):
        return ""
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{number(value)} (no interval)"
    return f"{number(value)} ({number(low)} to {number(high)})"


def counted(row: pd.Series) -> str:
    """The n behind an estimate: patients, seeds, cells, and cells that are missing."""
    parts = [
        f"{int(row[name]):,} {what}{'' if row[name] == 1 else 's'}"
        for name, what in (("patients", "patient"), ("seeds", "seed"), ("cells", "cell"))
        if name in row and pd.notna(row[name])
    ]
    if pd.notna(row.get("cells_missing")) and row["cells_missing"]:
        parts.append(f"{int(row['cells_missing']):,} missing")
    return ", ".join(parts)


def claims(rows: pd.DataFrame) -> str:
    """The claims of one conjecture; rows of `verdicts`."""
    effect = [
        f"{text} {unit}" if text else "" for text, unit in zip(_intervals(rows), rows["unit"], strict=True)
    ]
    return _source("verdicts.parquet") + table(
        pd.DataFrame(
            {
                "question": rows["question"],
                "verdict": rows["verdict"],
                "effect (95 % interval)": effect,
                "margin": rows["margin"],
                "n": [counted(row) for _, row in rows.iterrows()],
                "why": rows["why"],
            }
        ),
        stack=True,
    )


def tests(rows: pd.DataFrame) -> str:
    """The tests of the claims of one conjecture; rows of `verdicts`."""
    columns = ["claim", "expects", "estimate", "low", "high", "margin", "p_supported", "p_refuted"]
    shown = rows[[*columns, "smallest_effect", "seed_part"]]
    return (
        _source("verdicts.parquet")
        + table(shown, stack=True)
        + paragraph(
            "p: Holm-adjusted over all claims, of the test that supports and of the one that refutes. "
            "Smallest effect: found in four of five such grids, uncorrected."
        )
    )


def _intervals(rows: pd.DataFrame) -> list[str]:
    return [with_interval(row) for _, row in rows.iterrows()]


def contrasts(conjecture: int, estimates: pd.DataFrame, networks: Networks) -> str:
    """What stands behind a conjecture besides its claims; rows of `estimates`."""
    if conjecture in BY_CONJECTURE:
        return _levels_from_scratch(BY_CONJECTURE[conjecture], estimates, networks)
    kinds = ("gain", "power_law") if conjecture == 3 else ("difference",)
    chosen = estimates["kind"].isin(kinds) & estimates["architecture"].isna()
    rows = estimates[chosen & estimates["metric"].isin(GAINS)]
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "estimate": rows["name"],
            "value (95 % interval)": _intervals(rows),
            "n": [counted(row) for _, row in rows.iterrows()],
            "smallest effect": rows["smallest_effect"],
        }
    )
    return _source("estimates.parquet, column name") + table(shown, stack=True)


def _levels_from_scratch(metrics: tuple[str, ...], estimates: pd.DataFrame, networks: Networks) -> str:
    """A row per network from scratch, at the smallest and the largest size."""
    rows = level_rows(estimates)
    rows = rows[(rows["init"] == "random") & rows["metric"].isin(metrics)]
    if rows.empty:
        return ""
    sizes = rows["train_images"].agg(["min", "max"]).tolist()
    rows = rows[rows["train_images"].isin(sizes)]
    wide = _wide(rows, ["architecture", "train_images"], metrics, networks)
    wide = wide.sort_values("train_images", ascending=False, kind="stable")
    return _source("estimates.parquet, levels from scratch") + table(_named(wide, networks), stack=True)


def levels(estimates: pd.DataFrame, networks: Networks) -> str:
    """A row per condition: its areas with intervals on both splits, training loss, convergence and spikes."""
    rows = level_rows(estimates)
    if rows.empty:
        return paragraph("No cell has finished yet.")
    wide = _wide(rows, ["architecture", "train_images", "init", "freeze"], LEVEL_METRICS, networks)
    return _source("estimates.parquet") + table(_named(wide, networks))


def _wide(rows: pd.DataFrame, axes: list[str], metrics: tuple[str, ...], networks: Networks) -> pd.DataFrame:
    shown = rows.assign(text=_intervals(rows))
    wide = shown.pivot_table(index=axes, columns="metric", values="text", aggfunc="first", sort=False)
    wide = wide.reindex(columns=[m for m in metrics if m in wide]).reset_index()
    place = {name: k for k, name in enumerate(networks.ordered(set(wide["architecture"])))}
    return wide.sort_values("architecture", key=lambda names: names.map(place), kind="stable")


def _named(wide: pd.DataFrame, networks: Networks) -> pd.DataFrame:
    wide = wide.assign(architecture=[networks[name].network for name in wide["architecture"]])
    if "init" in wide:
        wide = wide.assign(init=[init_name(name) for name in wide["init"]])
    return wide


def labels(record: object) -> str:
    """Patients, images and labels of every trained finding in each part; `labels` of the table `sweep`."""
    if not isinstance(record, list) or not record or not all(isinstance(row, dict) for row in record):
        return paragraph("The sweep did not record how many patients and labels each part has.")
    rows = pd.DataFrame(record)
    shown = rows.reindex(columns=[name for name in LABEL_COLUMNS if name in rows])
    return _source("sweep.parquet, name labels") + table(shown)


LABEL_COLUMNS = (
    "finding", "part", "patients", "images", "positive", "negative", "uncertain", "uncertain_became", "blank",
    "blank_became", "trained_positive", "trained_negative", "ignored",
)  # fmt: skip


def findings(rows: pd.DataFrame) -> str:
    """The study's findings beside ours; rows of `findings`."""
    return _source("findings.parquet") + table(
        pd.DataFrame(
            {
                "finding": rows["finding"],
                "figure": rows["figure"],
                "published": rows["published"],
                "ours (95 % interval)": _intervals(rows),
                "unit": rows["unit"],
                "verdict": rows["verdict"],
                "n": [counted(row) for _, row in rows.iterrows()],
                "why": rows["why"],
                "source": rows["source"],
            }
        ),
        stack=True,
    )


def published(rows: pd.DataFrame, *, natural: str, data: str, networks: Networks) -> str:
    """Published AUROC beside ours; rows of `published`."""
    size = [f"{int(n):,}" if pd.notna(n) else "all" for n in rows["train_images"]]
    sources = "; ".join(dict.fromkeys(rows["source"]))
    return (
        _source("published.parquet")
        + table(
            pd.DataFrame(
                {
                    "network": [networks[name].network for name in rows["architecture"]],
                    "data": rows["data"] + ", " + rows["finding"],
                    "images": size,
                    "from": [init_name(name) if name != "random" else "scratch" for name in rows["init"]],
                    "published": rows["published_auroc"],
                    "ours (95 % interval)": _intervals(rows),
                    "n": [counted(row) for _, row in rows.iterrows()],
                }
            ),
            stack=True,
        )
        + paragraph(
            f"Source: {sources}. Ours: the same finding on {data or 'the data of this grid'}, hold-out test "
            f"split; its largest size beside all images; {natural} beside ImageNet."
        )
    )


def _source(rows: str) -> str:
    """Where the numbers of the table below can be read."""
    return f"<p><small>Rows of <code>{escape('evidence/' + rows)}</code>.</small></p>"
