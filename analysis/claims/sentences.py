"""Numbers and verdicts as sentences that a clinician can read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.claims.conjectures import PER_DOUBLING, Claim
from analysis.claims.judged import Judged
from analysis.claims.needed import MOST_SEEDS, Needed
from analysis.numbers import signed
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.contrasts import POWER
from analysis.statistics.estimate import Estimate

ONE_SEED = "One seed only: what its runs have in common cannot be told from an effect. Two more seeds would."
COPIES = "Seeds of it agree to the last digit, as copies of one run do: how far runs scatter is not known."


def unit_of(claim: Claim) -> str:
    """The unit of a claim's estimate."""
    return MEASURES[claim.metric].unit + (" / doubling" if claim.sizes in PER_DOUBLING else "")


def effect(claim: Claim, found: Estimate) -> str:
    """The estimate with its interval: `-0.045 (95 % interval -0.078 to -0.012)`."""
    digits = MEASURES[claim.metric].digits
    short = unit_of(claim).removeprefix("AUROC").replace(" / doubling", "per doubling")
    text = f"{signed(found.estimate, digits)} {short}".rstrip()
    if np.isfinite(found.low) and np.isfinite(found.high):
        return f"{text} (95 % interval {signed(found.low, digits)} to {signed(found.high, digits)})"
    return f"{text} (no interval)"


def measured(claim: Claim, found: Estimate) -> str:
    """The estimate, its interval and its n, as a sentence."""
    quantity = claim.quantity[0].upper() + claim.quantity[1:]
    n = f"{found.seeds} seed{'s' if found.seeds != 1 else ''}"
    if found.patients is not None:
        n = f"{found.patients:,} patients, {n}"
    return f"{quantity}: {effect(claim, found)[:-1]}; {n})."


def why_claim(j: Judged, need: Needed | None = None) -> str:
    """Why a claim has its verdict, what was found, and what it needs where it is undecided."""
    found = j.found
    if found is None:
        return because(j)
    return f"{measured(j.claim, found)} {because(j, need)}"


def because(j: Judged, need: Needed | None = None) -> str:
    """The same without the estimate and its interval."""
    found = j.found
    if found is None:
        return f"Not tested: {j.untested or 'none of the cells that it asks for has finished'}."
    parts = []
    if j.verdict != "undecided":
        parts.append(_decided(j))
    elif j.hindered:
        parts.append(j.hindered)
    elif found.standard_error == 0:
        parts.append("Without any variation there is nothing to judge chance by.")
    elif not np.isfinite(found.low):
        parts.append("The interval holds all that is possible: nothing can be said.")
    else:
        parts += _undecided(j, found, told=need is not None)
    if need is not None:
        parts.append(_what_would_decide(need, found, told=j.hindered))
    if j.effect in ("loss", "small loss") and j.claim.guarded:
        parts.append("What is said not to be needed is the worse by it.")
    parts += _not_there(found)
    if j.same_as:
        parts.append("With two networks this is the same test as the one above, and counted once.")
    return " ".join(parts)


def _not_there(found: Estimate) -> list[str]:
    """Runs that failed or ended at chance, and what was made of them; cells that have not been trained."""
    said, doubtful, missing = [], found.doubtful, found.cells_missing - found.doubtful
    if doubtful:
        said.append(f"{doubtful} run{'' if doubtful == 1 else 's'} failed or ended at chance.")
    if doubtful and np.isfinite(found.low):
        said.append(
            "The interval spans both ways to judge that: without, and at the worst (AUROC 0.5, loss ln 2)."
        )
    if missing > 0:
        said.append(f"{missing} of the cells that it asks for {'is' if missing == 1 else 'are'} missing.")
    return said


def _margin(j: Judged) -> str:
    return f"{j.margin:.{max(MEASURES[j.claim.metric].digits, 2)}f}"


def _undecided(j: Judged, found: Estimate, *, told: bool) -> list[str]:
    """Why an interval decides nothing, and what would unless that is `told`."""
    limit, digits = _margin(j), MEASURES[j.claim.metric].digits
    if j.effect in ("gain", "loss"):
        return [f"That is {_side(found)} zero by more than {limit}, the smallest effect that matters."]
    out = found.low > j.margin or found.high < -j.margin
    if out or (-j.margin < found.low and found.high < j.margin):
        which = "more" if out else "less"
        return [
            f"By itself {which} than {limit}, the smallest effect that matters, but not once corrected "
            f"for the "
            f"number of claims."
        ]
    said = [f"An effect that matters ({limit} or more) is possible, and so is none."]
    if found.low > 0 or found.high < 0:
        said = [
            f"By itself {_side(found)} zero; whether by {limit}, the smallest effect that matters, stays "
            f"open."
        ]
    if np.isfinite(j.smallest_effect):
        said.append(f"Four of five such grids would find an effect of {j.smallest_effect:.{digits}f}.")
    return said if told else [*said, *_what_would_tell(j, found)]


def _what_would_tell(j: Judged, found: Estimate) -> list[str]:
    """Whether more patients, more seeds, or only both, and how many patients."""
    few_patients = bool(found.patients) and found.patient_variance >= j.error_needed**2
    if not found.patients:
        return ["More seeds could tell."]
    if j.patients_needed is None and few_patients:
        return ["Neither more test patients nor more seeds could tell by themselves: both are needed."]
    if j.patients_needed is None:
        return ["No number of test patients could tell with so much chance between seeds: more seeds could."]
    if j.patients_needed <= found.patients:
        return ["More seeds could tell."]
    said = f"About {_rounded(j.patients_needed):,} test patients could tell; there are {found.patients:,}."
    few = f"No number of seeds will do: {found.patients:,} test patients are too few."
    return [said, few] if few_patients else [said]


def _what_would_decide(need: Needed, found: Estimate, told: str) -> str:
    """How many more seeds, and what they cost; or that none would, and how many patients with them.

    Args:
        told: what has been said already.
    """
    if need.seeds is not None:
        more = f"{need.seeds:,} more seed{'' if need.seeds == 1 else 's'}"
        cost = f", about {need.hours}," if need.hours is not None else ""
        return f"{more}{cost} would decide it with 80 %."
    if need.at_best >= POWER:
        return f"It would take more than {MOST_SEEDS} more seeds to decide it with 80 %."
    none = f"No number of seeds would decide it with 80 % (at best {math.floor(100 * need.at_best)} %)"
    if need.patients is None:
        return f"{none}. {need.obstacle if need.obstacle != told else ''}".rstrip()
    return (
        f"{none}: {found.patients:,} test patients are too few. Enough seeds would with about "
        f"{_rounded(need.patients):,}."
    )


def _rounded(count: int) -> int:
    """Two leading digits."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit


def _side(found: Estimate) -> str:
    return "above" if found.estimate > 0 else "below"


def _decided(j: Judged) -> str:
    """What the tests have shown; an effect that is both real and small is called both."""
    limit, claim, found = _margin(j), j.claim, j.found
    assert found is not None
    there = (j.verdict == "supported") == (claim.expects in ("positive", "negative"))
    if there:
        return f"That is {_side(found)} zero by {limit} or more, the smallest effect that matters."
    if j.effect in ("small gain", "small loss"):
        return (
            f"That is {_side(found)} zero beyond chance, but by less than {limit}, the smallest that matters."
        )
    if claim.expects == "zero":
        return f"Any effect is smaller than {limit}, the smallest that matters."
    way = "fall" if claim.expects == "negative" else "rise"
    return f"A {way} of {limit} or more, the smallest that matters, is ruled out."


def why_overall(verdict: str, needed: Sequence[Judged]) -> str:
    """Why a conjecture has its verdict, from the claims that it rests on, with the numbers that decide."""
    if verdict == "supported":
        mine = list(needed)
    elif verdict == "refuted":
        mine = [j for j in needed if j.verdict == "refuted"] or [
            min(needed, key=lambda j: _rank(j.p_refuted))
        ]
    else:
        mine = [j for j in needed if j.verdict == "undecided"]
    listed = "; ".join(
        f"{j.claim.question} {effect(j.claim, j.found) if j.found is not None else 'Not tested'}"
        for j in mine
    )
    if not needed:
        return "No claim was tested."
    corrected = (
        f"At the level of the four conjectures it is {verdict}; corrected for all claims, "
        f"{'the claim that it rests on is not' if len(needed) == 1 else 'no claim that it rests on is'}"
    )
    if verdict != "undecided" and not any(j.verdict == verdict for j in needed):
        return f"{corrected}. {listed}."
    if len(needed) == 1:
        return f"The claim that it rests on is {verdict}. {listed}."
    if verdict == "undecided" and not mine:
        return f"The claims that it rests on are decided one by one, but not as one. {listed}"
    are = "is" if len(mine) == 1 else "are"
    count = "All" if len(mine) == len(needed) else str(len(mine))
    text = f"{count} of the {len(needed)} claims that it rests on {are} {verdict}. {listed}."
    if verdict == "supported" and any(j.verdict != "supported" for j in needed):
        text += (
            " All of them together pass at the level of the four conjectures; one by one, corrected for all "
            "claims, not each does."
        )
    return text


def _rank(p: float) -> float:
    return p if np.isfinite(p) else 2.0
