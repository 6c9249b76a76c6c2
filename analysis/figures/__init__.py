"""Figures: tables in, pictures out; no statistics."""
