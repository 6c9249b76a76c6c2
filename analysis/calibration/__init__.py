"""Grids with planted truth, and how often the verdicts on them are wrong."""
