"""What the figures show, as tables: every number that is drawn is computed here or before it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.claims import robust
from analysis.claims.analysed import Analysis
from analysis.claims.published import Published, published
from analysis.claims.same import once
from analysis.names import init_name, is_phantom
from analysis.statistics import curves
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.power_law import PowerLaw
from analysis.tables.networks import Networks
from analysis.tables.store import read

SPIKED = "resnet50"
"""The network whose training the study shows step by step."""


@dataclass(frozen=True, slots=True)
class TrainingCurves:
    """One network's training loss over training, seed by seed.

    Attributes:
        points: `seed epoch loss trend spike`, a row per bin; `trend` is the running median, `spike` a peak.
        told: number, height and recovery of the spikes, in words.
        definition: what counts as a spike.
        train_images: the size that was trained on.
    """

    points: pd.DataFrame
    told: str
    definition: str
    train_images: int


@dataclass(frozen=True)
class Drawn:
    """The tables behind the figures of one analysis; each is made when a figure first asks for it."""

    analysis: Analysis

    @cached_property
    def natural(self) -> str | None:
        """The arm of natural images, None if there is none."""
        return self.analysis.evidence.natural

    @property
    def in_domain(self) -> str:
        """The arm of pretraining on another finding of the same data."""
        return self.analysis.measures.in_domain

    @cached_property
    def words(self) -> dict[str, str]:
        """What captions fill in: `natural`, `in_domain` and, where a power law was fitted, `law`."""
        return {
            "natural": init_name(self.natural) if self.natural else "natural images",
            "in_domain": init_name(self.in_domain),
            "law": ", and the power law of the networks' mean" if self.law is not None else "",
        }

    @property
    def networks(self) -> Networks:
        """What the networks are called and how they are drawn."""
        return self.analysis.evidence.networks

    @property
    def law(self) -> PowerLaw | None:
        """The power law of the networks' mean AUROC from scratch."""
        return self.analysis.law

    @property
    def margin(self) -> float:
        """The smallest difference of an AUROC that matters."""
        return self.analysis.margins.auroc

    @property
    def metric(self) -> str:
        """The area that is drawn."""
        return "test_auroc"

    @property
    def area(self) -> str:
        """Its name on an axis."""
        return MEASURES[self.metric].label

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """The tested rows of `verdicts`, each test once, with the `digits` of its measure, then the overall
        ones."""
        rows = self.analysis.verdicts
        table = pd.concat([once(rows), rows[rows["claim"] == "overall"]])
        known = {name: measure.digits for name, measure in MEASURES.items()}
        return table.assign(digits=table["metric"].map(known).fillna(3).astype(int))

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every cell of the grid with natural classes and the usual subsets: axes, status and measures."""
        cells = self.analysis.measures.cells
        return cells[(cells["balance"] == "natural") & (cells["subset"] == 0)]

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes that are planned, ascending."""
        return list(self.analysis.grid.sizes)

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The rows of `estimates` that are the area of one condition with natural classes."""
        table = self.analysis.estimates
        rows = table[(table["kind"] == "level") & (table["balance"] == "natural") & (table["subset"] == 0)]
        return rows[rows["metric"] == self.metric]

    @cached_property
    def pretrained(self) -> list[str]:
        """The arms that start from weights of natural images or of other origins."""
        return [*([self.natural] if self.natural else []), *self.analysis.measures.other_weights]

    def gains(self, init: str) -> pd.DataFrame:
        """What weights from `init` gain over scratch, by size and network; rows of `estimates`."""
        table = self.analysis.estimates
        mine = (table["contrast"] == f"{init} minus scratch") & (table["metric"] == self.metric)
        return table[mine & (table["sizes"] == "one")]

    @cached_property
    def scratch(self) -> pd.DataFrame:
        """Cells from scratch that have epochs, at the largest size of any of them."""
        cells, epochs = self.cells, self.analysis.evidence.epochs
        rows = cells[(cells["init"] == "random") & (cells["freeze"] == "none")]
        rows = rows[rows["cell_id"].isin(epochs["cell_id"])]
        return rows[rows["train_images"] == rows["train_images"].max()]

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Mean training loss from scratch by epoch, as from `curves.bands`."""
        return curves.bands(self.analysis.evidence.epochs, self._fitted)

    @cached_property
    def loss_lines(self) -> pd.DataFrame:
        """The training loss of every one of those cells: `cell_id architecture epoch train_loss`."""
        return self.analysis.evidence.epochs.merge(self._fitted[["cell_id", "architecture"]], on="cell_id")

    @cached_property
    def _fitted(self) -> pd.DataFrame:
        return self.scratch[self.scratch["status"] == "done"]

    @cached_property
    def training(self) -> TrainingCurves | None:
        """The loss of `SPIKED` at its largest size, cells that diverged included; None if there is none."""
        evidence, cells = self.analysis.evidence, self.cells
        mine = (cells["architecture"] == SPIKED) & (cells["init"] == "random") & (cells["freeze"] == "none")
        cells = cells[mine & cells["cell_id"].isin(evidence.epochs["cell_id"])]
        cells = cells[cells["train_images"] == cells["train_images"].max()].sort_values("seed")
        if cells.empty:
            return None
        steps = read(evidence.out, "steps", filters=[("cell_id", "in", list(cells["cell_id"]))]).to_pandas()
        runs: dict[int, curves.Spikes] = {}
        tables = []
        for cell in cells.itertuples():
            epochs = evidence.epochs[evidence.epochs["cell_id"] == cell.cell_id].sort_values("epoch")
            losses = steps.loc[steps["cell_id"] == cell.cell_id].sort_values("step")["train_loss"]
            losses = losses if len(losses) else epochs["train_loss"]
            found = curves.spikes(losses.to_numpy(np.float64))
            if found is not None:
                runs[int(cell.seed)] = found
                tables.append(_points(int(cell.seed), found, int(epochs["epoch"].max())))
        if not runs:
            return None
        size = int(cells["train_images"].iloc[0])
        return TrainingCurves(pd.concat(tables), curves.told(runs), curves.SPIKE_DEFINITION, size)

    @cached_property
    def range_tests(self) -> pd.DataFrame:
        """Range tests from scratch at the largest size: `cell_id architecture learning_rate loss chosen`.

        The rate that was chosen has a row of its own, its loss read off the curve, with `chosen` true.
        """
        tests = self.analysis.evidence.range_tests
        cells = self.cells[(self.cells["init"] == "random") & self.cells["cell_id"].isin(tests["cell_id"])]
        cells = cells[cells["train_images"] == cells["train_images"].max()]
        tables = []
        for cell in cells.itertuples():
            line = tests[tests["cell_id"] == cell.cell_id].sort_values("learning_rate")
            shown = line[["cell_id", "learning_rate", "loss"]].assign(chosen=False)
            if np.isfinite(cell.learning_rate) and cell.learning_rate > 0:
                rates, at = np.log(line["learning_rate"]), np.log(cell.learning_rate)
                mark = {"cell_id": [cell.cell_id], "learning_rate": [cell.learning_rate], "chosen": [True]}
                mark["loss"] = [float(np.interp(at, rates, line["loss"]))]
                shown = pd.concat([shown, pd.DataFrame(mark)])
            tables.append(shown.assign(architecture=cell.architecture))
        columns = ["cell_id", "architecture", "learning_rate", "loss", "chosen"]
        return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """The table `decisions`, sizes and shares of those with more than one size."""
        return self.analysis.decisions

    @cached_property
    def robust(self) -> pd.DataFrame:
        """The claims that are needed, judged in other ways, as from `robust.in_margins`."""
        return robust.in_margins(self.analysis.robustness)

    @cached_property
    def published(self) -> list[Published]:
        """Published AUROC of the finding that is trained; none beside a phantom."""
        if is_phantom(self.analysis.evidence.sweep):
            return []
        findings = self.cells["finding"].dropna()
        return published(str(findings.iloc[0]) if len(findings) else "")


def _points(seed: int, run: curves.Spikes, epochs: int) -> pd.DataFrame:
    table = pd.DataFrame({"seed": seed, "epoch": run.step / run.step[-1] * epochs, "loss": run.loss})
    return table.assign(trend=run.trend, spike=np.isin(np.arange(len(table)), run.peak))
