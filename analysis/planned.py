"""Power of a study that is planned: how likely its verdicts are right, and the cheapest design that decides.

What is planned comes as plain values. Grids of it are simulated and judged (`analysis.calibration.power`)
with variances from the cells of an OUT that have finished, where there are seeds enough, else stated priors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from analysis.calibration.power import (
    DEMO_PRIORS,
    EFFECTS,
    PRIORS,
    Option,
    Variances,
    cheapest,
    designs_of,
    forecast,
    variances_of,
)
from analysis.calibration.settings import DEMO, Setting
from analysis.names import IN_DOMAIN
from analysis.statistics.catalogue import Margins
from analysis.statistics.from_evidence import measure
from analysis.statistics.measures import Measures
from analysis.tables import store
from analysis.tables.collect import collect

GRIDS, TRIED = 60, 40
"""Simulated for each effect of the plan, and of every design that is tried."""
SEEDS = (3, 4, 5, 6, 8)
LARGE_SET = 5_000
"""Training images from which on the priors of large sets hold."""
PILOT_SIZES = 2


@dataclass(frozen=True)
class Planned:
    """A study that is planned.

    Attributes:
        conditions: `architecture train_images init freeze balance depth parameters hours upstream
            upstream_hours`, a row per condition of the grid; hours are of one seed, `upstream` names the
            pretraining that a condition starts from and shares with others, null from scratch.
        natural, in_domain: the inits of natural images and of the same data; None for none.
        seeds: planned.
        patients, images, prevalence: of the test split.
        margins: the smallest effects that matter, by name, where they are not the usual ones.
    """

    conditions: pd.DataFrame
    natural: str | None
    in_domain: str | None
    seeds: int
    patients: int
    images: int
    prevalence: float
    margins: Mapping[str, float]


@dataclass(frozen=True)
class Power:
    """What is forecast.

    Attributes:
        table: as from `analysis.calibration.power.forecast`.
        source: where the variances come from, a sentence.
        best: the cheapest design that decides the chosen conjectures; None where none that was tried does.
        tried: designs, by their hours.
        assumed: what is assumed besides, a sentence.
    """

    table: pd.DataFrame
    source: str
    best: Option | None
    tried: Sequence[Option]
    assumed: str


def power(planned: Planned, out: Path, conjectures: Sequence[int], grids: int = GRIDS) -> Power:
    """Forecast the plan, and look for the cheapest design.

    Args:
        out: the OUT folder, for what has finished; read, never written to.
        conjectures: that the cheapest design is to decide.

    Raises:
        ValueError: grids of this plan cannot be simulated; the message says why.
    """
    setting = setting_of(planned)
    large = max(setting.sizes) >= LARGE_SET
    prior = PRIORS if large else DEMO_PRIORS
    variances, source = known_variances(planned, out, prior)
    table = forecast(setting, variances, EFFECTS, grids)
    best, tried = cheapest(
        _designs(setting),
        conjectures,
        variances,
        grids=min(grids, TRIED),
        hours=lambda one: hours(planned, one),
    )
    assumed = (
        "Runs are taken to train as intended; half of the patients' images to have one label throughout; "
        f"scratch at the middle size to reach an AUROC of {setting.auroc:g}."
    )
    return Power(table, source, best, tried, assumed)


def setting_of(planned: Planned) -> Setting:
    """The simulator's setting of a plan, in the simulator's own names of arms."""
    rows = _renamed(planned)
    arms = rows[["init", "freeze"]].drop_duplicates().itertuples(index=False, name=None)
    known = {"random", "natural", IN_DOMAIN}
    networks = rows.drop_duplicates("architecture").set_index("architecture")
    return dataclasses.replace(
        DEMO if max(rows["train_images"]) < LARGE_SET else Setting("plan", (), 1, 1, 1, Margins()),
        name="plan",
        sizes=tuple(sorted(int(size) for size in rows["train_images"].unique())),
        seeds=planned.seeds,
        patients=planned.patients,
        images=planned.images,
        margins=Margins().with_changes(dict(planned.margins)),
        prevalence=planned.prevalence,
        balanced=bool((rows["balance"] == "balanced").any()),
        networks={str(n): (int(row["depth"]), int(row["parameters"])) for n, row in networks.iterrows()},
        arms=tuple((str(init), str(freeze)) for init, freeze in arms if init in known),
    )


def _renamed(planned: Planned) -> pd.DataFrame:
    names = {planned.natural: "natural", planned.in_domain: IN_DOMAIN}
    rows = planned.conditions
    return rows.assign(init=[names.get(init, init) for init in rows["init"]])


def hours(planned: Planned, setting: Setting) -> float:
    """Device hours of a design within the plan, every pretraining counted once a seed."""
    rows = _renamed(planned)
    mine = rows[rows["architecture"].isin(setting.networks) & rows["train_images"].isin(setting.sizes)]
    above = mine.dropna(subset=["upstream"]).drop_duplicates("upstream")["upstream_hours"]
    return setting.seeds * float(mine["hours"].sum() + above.sum())


def known_variances(planned: Planned, out: Path, prior: Variances) -> tuple[Variances, str]:
    """The scatter of what has finished in `out`, arm by arm, the prior's where too few seeds have; and where
    it comes from."""
    stated = (
        "priors for large sets" if prior is PRIORS else "priors for small sets, of real seeds on the phantom"
    )
    measures = _finished(planned, out)
    done = 0 if measures is None else int(np.isfinite(measures.values("test_auroc")).sum())
    if measures is None or not done:
        return prior, f"Variances: stated {stated}; nothing has finished. --pilot measures them."
    sizes = measures.cells.loc[np.isfinite(measures.values("test_auroc")), "train_images"]
    every = sorted(planned.conditions["train_images"].unique())
    pilot = len(every) > PILOT_SIZES and set(sizes) <= set(every[:PILOT_SIZES])
    found = variances_of(measures, "pilot" if pilot else "finished cells", prior)
    arms = {f"{init} {freeze}" for init, freeze in setting_of(planned).arms}
    lacking = sorted(arms - (set(_arms(measures)) - set(found.prior)))
    if len(lacking) == len(arms):
        return (
            prior,
            f"Variances: stated {stated}; too few seeds have finished. A pilot measures them: --pilot.",
        )
    text = f"Variances: of {done:,} finished cells{' of a pilot' if pilot else ''}"
    return found, f"{text}; stated {stated} for {', '.join(lacking)}." if lacking else f"{text}."


def _arms(measures: Measures) -> list[str]:
    return list((measures.cells["init"] + " " + measures.cells["freeze"]).unique())


def _finished(planned: Planned, out: Path) -> Measures | None:
    """The measures of what has finished in `out`, with the simulator's names of arms; None without any."""
    if not (out / "cells").is_dir():
        return None
    with TemporaryDirectory() as folder:
        if collect(out, Path(folder)) is None:
            return None
        found = measure(store.load(folder))
    if found.cells.empty:
        return None
    names = {planned.natural: "natural", planned.in_domain: IN_DOMAIN}
    cells = found.cells.assign(init=[names.get(init, init) for init in found.cells["init"]])
    return Measures(cells, found.covariance, found.patients, found.positives, found.freedom)


def _designs(setting: Setting) -> list[Setting]:
    """A few: seeds, all networks or the ends and the middle, all sizes or the two largest."""
    by_size = sorted(setting.networks, key=lambda name: setting.networks[name][1])
    networks = [tuple(setting.networks)]
    if len(by_size) > 3:
        networks.append((by_size[-1], by_size[len(by_size) // 2], by_size[0]))
    sizes = [setting.sizes]
    if len(setting.sizes) > 2:
        sizes.append(setting.sizes[-2:])
    return designs_of(setting, SEEDS, networks, sizes)
