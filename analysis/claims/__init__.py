"""Conjectures, their claims, estimates and verdicts, in words too."""
