"""Numbers as they are read: how many digits, when a sign, and when an interval."""

from __future__ import annotations

from typing import Any

SMALLEST_DIGITS = 3
"""Decimals beyond which a value is shown as zero."""


def digits_seen(value: float, digits: int) -> int:
    """`digits`, or up to three so that a small value is not shown as zero: one spike in 24 runs is 0.04."""
    while digits < SMALLEST_DIGITS and value and float(f"{value:.{digits}f}") == 0:
        digits += 1
    return digits


def signed(value: float, digits: int) -> str:
    """A difference with its sign; what is rounded to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def one_seed(seeds: Any) -> Any:
    """Whether one seed is behind an estimate, or each of a column: it is shown without an interval, since one
    over its patients alone would say nothing of another seed."""
    return seeds == 1
