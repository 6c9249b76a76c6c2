"""From cell results to Parquet tables, estimates with intervals, verdicts, figures and a report.

Needs neither torch nor Ray: a copy of the results on any machine is enough.

    analysis.run(OUT)                   everything that `python -m analysis OUT` does
    analysis.load(OUT)                  the tables as data frames
    analysis.figure(evidence, name)     one figure
    analysis.estimate(evidence, contrast)   one estimate of one's own, with its interval
    analysis.fix_looks(OUT, ...)        when verdicts are to be reached, before there are any
"""

from analysis.claims.look_record import LooksError, fixed_by
from analysis.claims.look_record import fix as fix_looks
from analysis.interface import FIGURES, estimate, figure, measured
from analysis.run import Summary, run
from analysis.statistics.terms import Contrast, Term
from analysis.tables.schema import EvidenceError
from analysis.tables.store import Evidence, load

__all__ = [
    "FIGURES",
    "Contrast",
    "Evidence",
    "EvidenceError",
    "LooksError",
    "Summary",
    "Term",
    "estimate",
    "figure",
    "fix_looks",
    "fixed_by",
    "load",
    "measured",
    "run",
]
