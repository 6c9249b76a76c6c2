"""From cell results to Parquet tables, estimates with intervals, verdicts, figures and a report.

Needs neither torch nor Ray: a copy of the results on any machine is enough.
"""

from analysis.run import Summary, run
from analysis.tables import Evidence, load

__all__ = ["Evidence", "Summary", "load", "run"]
