"""Every measure of a cell, once: what it is called, in which unit, which way is better, what matters of it.

A measure that is a column of `trials` is added here alone; another is filled in
`analysis.statistics.from_evidence`, too. Estimates, claims, sentences, tables and figures read the rest from
its record.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of a cell.

    Attributes:
        name: its column in `Measures.cells`, and `metric` in the tables of evidence.
        label: for axes, legends and headings.
        unit: of a level and of a difference.
        digits: after the point, where it is rounded for reading.
        better: which way is better, or neither.
        low, high: ends of what a level can be; None where there is none.
        option: what `--margin` calls the smallest difference that matters (see `Margins`); empty where no
            claim may be made of it.
        split: `test` or `official` where it is an area over predictions, else empty.
        worst: what a run that diverged is worth at its worst; None where that cannot be said.
        count: a count of rare events, whose variance grows with its mean.
        compared: estimated for initialisations against each other, not for single conditions alone.
        gained: estimated per doubling of the data.
    """

    name: str
    label: str
    unit: str
    digits: int = 3
    better: Better
    low: float | None = 0.0
    high: float | None = None
    option: str = ""
    split: str = ""
    worst: float | None = None
    count: bool = False
    compared: bool = False
    gained: bool = False

    @property
    def area(self) -> bool:
        """Whether it is an area over predictions, between 0 and 1."""
        return bool(self.split)


def _area(name: str, label: str, unit: str) -> Measure:
    return Measure(
        name=name, label=label, unit=unit, better="higher", high=1.0, option="auroc",
        split=name.split("_")[0], worst=0.5 if unit == "AUROC" else None, compared=True, gained=True,
    )  # fmt: skip


_TEST, _OFFICIAL = "hold-out test split", "official validation split"

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _area("test_auroc", f"AUROC, {_TEST}", "AUROC"),
        _area("test_auprc", f"AUPRC, {_TEST}", "AUPRC"),
        _area("test_study_auroc", f"AUROC per study, {_TEST}", "AUROC"),
        _area("test_study_auprc", f"AUPRC per study, {_TEST}", "AUPRC"),
        _area("official_auroc", f"AUROC, {_OFFICIAL}", "AUROC"),
        _area("official_auprc", f"AUPRC, {_OFFICIAL}", "AUPRC"),
        _area("official_study_auroc", f"AUROC per study, {_OFFICIAL}", "AUROC"),
        _area("official_study_auprc", f"AUPRC per study, {_OFFICIAL}", "AUPRC"),
        Measure(
            name="train_loss", label="training loss", unit="nats", better="lower",
            option="loss", worst=0.6931471805599453, compared=True, gained=True,
        ),
        Measure(
            name="equal_steps_loss", label="training loss after as many steps as the smallest size",
            unit="nats", better="lower", compared=True,
        ),
        Measure(
            name="late_fall", label="fall of the training loss over the last third of its steps",
            unit="nats", better="neither", low=None,
        ),
        Measure(
            name="spikes", label="spikes of the training loss", unit="spikes / run", digits=1,
            better="lower", option="spikes", count=True,
        ),
        Measure(
            name="spike_height", label="height of spikes", unit="times the running median",
            better="lower", low=1.0,
        ),
        Measure(name="spike_recovery_steps", label="recovery from spikes", unit="steps", better="lower"),
        Measure(
            name="convergence_epochs", label="convergence", unit="epochs", better="lower", compared=True
        ),
    )
}  # fmt: skip
"""name -> measure, in the order in which tables and figures show them."""

AREAS = tuple(measure.name for measure in MEASURES.values() if measure.area)
CURVES = tuple(measure.name for measure in MEASURES.values() if not measure.area)


def unit(metric: str) -> str:
    """Unit of a measure."""
    return MEASURES[metric].unit


@dataclass(frozen=True, slots=True)
class Margins:
    """The smallest effects that matter, fixed by their meaning before any result is seen.

    Attributes:
        auroc: of areas, as a fraction.
        loss: of the training loss, nats.
        spikes: spikes per run.
    """

    auroc: float = 0.01
    loss: float = 0.02
    spikes: float = 2.0

    def of(self, metric: str) -> float:
        """The margin of a measure.

        Raises:
            ValueError: no margin is defined for it.
        """
        option = MEASURES[metric].option
        if not option:
            raise ValueError(f"{metric}: no smallest effect that matters is defined for it")
        return float(getattr(self, option))

    def with_changes(self, changes: dict[str, float]) -> Margins:
        """These margins with some of them changed, by name."""
        return dataclasses.replace(self, **changes)
