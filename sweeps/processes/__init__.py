"""Processes: which are ours, beyond doubt, and how they all end."""
