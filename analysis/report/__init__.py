"""The report: one page that can be mailed."""
