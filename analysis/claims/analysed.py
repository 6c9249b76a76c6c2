"""Everything that the evidence of one folder says, as one value: what figures and report are made from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pandas as pd

from analysis.claims import earlier, look_record
from analysis.claims.conjectures import CLAIMS, Grid, grid_of
from analysis.claims.decisions import decision_table
from analysis.claims.estimates import estimate_table, power_law
from analysis.claims.hours import a_seed
from analysis.claims.looked import Looked, looked
from analysis.claims.published import beside
from analysis.claims.robust import robustness_table
from analysis.claims.study_results import study_result_table
from analysis.claims.verdict_table import verdict_table
from analysis.claims.verdicts import judge, needs
from analysis.statistics.catalogue import MEASURES, Margins
from analysis.statistics.from_evidence import measure
from analysis.statistics.measures import Measures
from analysis.statistics.power_law import PowerLaw
from analysis.tables.schema import EvidenceError
from analysis.tables.store import Evidence, read


@dataclass(frozen=True)
class Analysis:
    """What `analyse` made of `evidence`.

    Attributes:
        evidence: with the flags of its cells in `trials`.
        measures: of every cell of the grid.
        estimates, verdicts, study_results, published, decisions, robustness: the tables of evidence
            (`study_results` is the table `findings`).
        margins: the smallest effects that matter, as they were used; `margins_told` says where from.
        law: the power law through the sizes; None for fewer than four.
        looked: the looks and what they decided; None where seeds do not come in looks.
        sequence_told: what looks, or verdicts that were printed before, do to the verdicts; mostly empty.
    """

    evidence: Evidence
    measures: Measures
    estimates: pd.DataFrame
    verdicts: pd.DataFrame
    study_results: pd.DataFrame
    published: pd.DataFrame
    decisions: pd.DataFrame
    robustness: pd.DataFrame
    margins: Margins
    law: PowerLaw | None
    looked: Looked | None = None
    sequence_told: str = ""

    @property
    def grid(self) -> Grid:
        """The sizes and the natural-image task of the grid."""
        return grid_of(self.measures, self.evidence.natural)

    @property
    def margins_told(self) -> str:
        """Where the margins come from, a sentence; empty where they are the usual ones."""
        if self.margins == Margins():
            return ""
        usual, own = Margins(), margins_of(self.evidence)
        asked = self.margins != own
        told = ", ".join(
            f"{getattr(self.margins, field.name):g} instead of {getattr(usual, field.name):g} ({field.name})"
            for field in dataclasses.fields(Margins)
            if getattr(self.margins, field.name) != getattr(usual, field.name)
        )
        why = "asked for by --margin" if asked else "stated by the sweep's own preset"
        reason = self.evidence.sweep.get("margins_why")
        return f"Margins {why}: {told}." + (f" {reason}" if reason and not asked else "")

    def tables(self) -> dict[str, pd.DataFrame]:
        """The derived tables, by their names in the folder of evidence."""
        return {
            "estimates": self.estimates,
            "verdicts": self.verdicts,
            "findings": self.study_results,
            "published": self.published,
            "decisions": self.decisions,
            "robustness": self.robustness,
        }


def analyse(evidence: Evidence, changes: dict[str, float] | None = None) -> Analysis:
    """Measure, estimate and judge.

    Args:
        changes: other margins than the sweep's own by name (`auroc`, `loss`, `spikes`).

    Raises:
        EvidenceError: the sweep recorded margins that cannot be used.
    """
    measures = measure(evidence)
    record = look_record.read(evidence.out)
    margins = margins_of(evidence, changes)
    if record is not None and not changes:
        margins = record.margins
    natural = evidence.natural
    grid = grid_of(measures, natural)
    law = power_law(measures, grid)
    estimates = estimate_table(measures, grid, law)
    found = None if record is None or margins != record.margins else looked(evidence, measures, record)
    if found is not None:
        verdicts = found.verdicts(natural, measures.in_domain)
    else:
        judged = judge(measures, natural, margins)
        hours = a_seed(measures, evidence.trials, CLAIMS, natural)
        needed = needs(measures, natural, judged, hours)
        verdicts = verdict_table(judged, natural, needs=needed, in_domain=measures.in_domain)
    return Analysis(
        evidence=dataclasses.replace(evidence, trials=flagged(evidence.trials, measures)),
        measures=measures,
        estimates=estimates,
        verdicts=verdicts,
        study_results=study_result_table(measures, natural, margins),
        published=beside(estimates, finding=trained_finding(evidence), natural=natural),
        decisions=decision_table(measures),
        robustness=robustness_table(measures, natural, margins, evidence.networks),
        margins=margins,
        law=law,
        looked=found,
        sequence_told=_sequence_told(evidence, record, found, verdicts),
    )


def _sequence_told(
    evidence: Evidence, record: look_record.Record | None, found: Looked | None, verdicts: pd.DataFrame
) -> str:
    """What looks, or verdicts that were printed before, do to these ones, as sentences."""
    before, now = earlier.read(evidence.out), earlier.of_table(verdicts)
    said = [earlier.told(before, now, looks=0 if record is None else 1)]
    if record is not None and found is None:
        said.append(
            "Seeds come in looks here, whose margins are fixed; with these other margins verdicts are not "
            "corrected for looks, and decide nothing."
        )
    return " ".join(filter(None, said))


def flagged(trials: pd.DataFrame, measures: Measures) -> pd.DataFrame:
    """`trials` with the flags of its grid cells (`analysis.statistics.flags`); null of pretrainings."""
    by_cell = measures.cells.set_index("cell_id")[["still_falling", "collapsed"]]
    return trials.assign(**{name: trials["cell_id"].map(by_cell[name]).astype("boolean") for name in by_cell})


def margins_of(evidence: Evidence, changes: dict[str, float] | None = None) -> Margins:
    """The smallest effects that matter: the usual ones, the sweep's own instead, `changes` instead of both.

    Raises:
        EvidenceError: the sweep recorded margins that cannot be used.
    """
    own = evidence.sweep.get("margins") or {}
    names = [field.name for field in dataclasses.fields(Margins)]
    if not isinstance(own, dict) or not all(
        name in names and isinstance(value, int | float) and value > 0 for name, value in own.items()
    ):
        raise EvidenceError(
            f"{evidence.out}: sweep.json, margins: found {own!r}; expected numbers above 0 by "
            f"{', '.join(names)}"
        )
    return Margins().with_changes(own).with_changes(changes or {})


def trained_finding(evidence: Evidence) -> str:
    """The finding that the grid's cells are trained on; empty if the tables do not say it."""
    trials = evidence.trials
    known = trials.loc[trials["kind"].fillna("grid") == "grid", "finding"].dropna()
    return str(known.iloc[0]) if len(known) else ""


def read_back(evidence: Evidence, measures: Measures, margins: Margins | None = None) -> Analysis:
    """The analysis whose tables the last `analyse` left in the folder of evidence.

    Args:
        margins: other ones than those that the stored verdicts were made with.
    """
    stored = evidence.verdicts.dropna(subset=["metric", "margin"]).groupby("metric")["margin"].first()
    used = {MEASURES[str(name)].option: float(margin) for name, margin in stored.items()}
    return Analysis(
        evidence=evidence,
        measures=measures,
        estimates=evidence.estimates,
        verdicts=evidence.verdicts,
        study_results=evidence.findings,
        published=evidence.published,
        decisions=read(evidence.out, "decisions").to_pandas(),
        robustness=read(evidence.out, "robustness").to_pandas(),
        margins=margins or margins_of(evidence, used),
        law=power_law(measures, grid_of(measures, evidence.natural)),
    )
