"""Numbers and verdicts as sentences that a clinician can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from analysis.statistics.catalogue import MEASURES, unit
from analysis.statistics.contrasts import Estimate

ONE_SEED = "One seed only: chance between runs is inferred from the learning curves."


class Worded(Protocol):
    """What a sentence needs to know of a claim or finding."""

    @property
    def quantity(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def expects(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def sizes(self) -> str: ...


def signed(value: float, digits: int = 3) -> str:
    """`+0.012`; full precision is in the tables."""
    return f"{value:+.{digits}f}"


def unit_of(claim: Worded) -> str:
    """The unit of a claim's estimate."""
    return unit(claim.metric) + (" / doubling" if claim.sizes in ("last_doubling", "trend") else "")


def effect(claim: Worded, found: Estimate) -> str:
    """The estimate with its interval: `-0.045 (95 % interval -0.078 to -0.012)`."""
    digits = MEASURES[claim.metric].digits
    short = unit_of(claim).removeprefix("AUROC").replace(" / doubling", "per doubling")
    text = f"{signed(found.estimate, digits)} {short}".rstrip()
    if np.isfinite(found.low) and np.isfinite(found.high):
        return f"{text} (95 % interval {signed(found.low, digits)} to {signed(found.high, digits)})"
    return f"{text} (no interval)"


def measured(claim: Worded, found: Estimate) -> str:
    """The estimate, its interval and its n, as a sentence."""
    quantity = claim.quantity[0].upper() + claim.quantity[1:]
    n = f"{found.seeds} seed{'s' if found.seeds != 1 else ''}"
    if found.patients is not None:
        n = f"{found.patients:,} patients, {n}"
    return f"{quantity}: {effect(claim, found)[:-1]}; {n})."


def why_claim(claim: Worded, found: Estimate | None, margin: float, verdict: str, untested: str = "") -> str:
    """Why a claim has its verdict; `untested` says why there is no estimate."""
    if found is None:
        return f"Not tested: {untested or 'none of the cells that it asks for has finished'}."
    digits = MEASURES[claim.metric].digits
    limit = f"{margin:.{digits}f}"
    parts = [measured(claim, found)]
    if verdict == "undecided":
        if found.seed_part == "unknown":
            parts.append("One seed only, and too little else to judge chance by: run more seeds.")
        elif not np.isfinite(found.low):
            parts.append("No interval can be given.")
        elif found.standard_error == 0:
            parts.append("Without any variation there is nothing to judge chance by.")
        else:
            parts.append(_undecided(found, margin, limit, digits))
    else:
        parts.append(_decided(claim.expects, verdict, found, limit))
    if found.seed_part == "runs":
        parts.append(ONE_SEED)
    if found.cells_missing:
        parts.append(f"{found.cells_missing} of the cells it asks for are missing.")
    return " ".join(parts)


def _undecided(found: Estimate, margin: float, limit: str, digits: int) -> str:
    """Why an interval decides nothing: by itself, or once corrected for the number of claims."""
    if found.low > 0 or found.high < 0:
        return "By itself beyond chance, but not once corrected for the number of claims."
    if -margin < found.low and found.high < margin:
        return (
            f"By itself smaller than {limit}, the smallest effect that matters, but not once corrected for "
            "the number of claims."
        )
    return (
        f"No effect is possible, and so is one that matters ({limit} or more). Four of five such grids would "
        f"find an effect of {found.smallest_effect:.{digits}f}."
    )


def _decided(expects: str, verdict: str, found: Estimate, limit: str) -> str:
    """What the tests have shown; an effect that is both real and small is called both."""
    real = found.low > 0 or found.high < 0
    side = "above" if found.estimate > 0 else "below"
    ruled_out = (verdict == "refuted") == (expects in ("positive", "negative"))
    if not ruled_out:
        return f"That is {side} zero beyond chance."
    asked = expects == "zero" or (side == "above") == (expects in ("positive", "not_positive"))
    if real and asked:
        return (
            f"That is {side} zero beyond chance, but smaller than {limit}, the smallest effect that matters."
        )
    what = {"zero": "Any effect", "not_positive": "Any gain"}.get(expects, "An effect that matters")
    if expects in ("zero", "not_positive"):
        return f"{what} is smaller than {limit}, the smallest that matters."
    return f"{what}, {limit} or more, is ruled out."


def why_overall(verdict: str, needed: Sequence[tuple[Worded, str, Estimate | None]]) -> str:
    """Why a conjecture has its verdict, from the claims that it rests on, with the numbers that decide.

    Args:
        needed: (claim, its verdict, its estimate).
    """
    mine = [(claim, found) for claim, outcome, found in needed if outcome == verdict]
    listed = "; ".join(
        f"{claim.question} {effect(claim, found) if found is not None else 'Not tested'}"
        for claim, found in mine
    )
    if len(needed) == 1:
        return f"The claim that it rests on is {verdict}. {listed}."
    are = "is" if len(mine) == 1 else "are"
    count = "All" if len(mine) == len(needed) else str(len(mine))
    return f"{count} of the {len(needed)} claims that it rests on {are} {verdict}. {listed}."
