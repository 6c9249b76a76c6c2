"""Measures of cells and contrasts between them, with intervals."""
