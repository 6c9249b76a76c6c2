"""Figures: tables in, pictures out; no statistics."""

from analysis.figures.place import give_matplotlib_a_place

give_matplotlib_a_place()
