"""Doubts about a run, each with a stable code: what was found, why it matters, what to do."""
