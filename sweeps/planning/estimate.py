"""What the missing cells of a plan will cost in time, GPU-hours and money on the resources at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeps.planning.cost import GPU_SPREAD
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources

SECONDS_PER_RUN = 13.0
"""Start of Ray (4 s) and of the first trials' processes (9 s), on two cores of an AMD EPYC without a GPU."""


@dataclass(frozen=True)
class Estimate:
    """What the missing cells will cost on the resources at hand.

    Attributes:
        work_seconds: of all cells, one after the other.
        wall_seconds: with as many at once as fit; no less than the longest chain of upstream and dependent,
            which on a GPU is as slow as its share only while there is other work.
        gpu_hours: parts of GPUs times hours; 0 without a GPU.
        price: of all GPUs at hand for the whole wall time, None without a price.
        guessed: networks of missing cells that nothing has measured on this kind of machine.
        cells: how many cells that is of; `measured` of the others.
        least, most: the same estimate at the edges of what is guessed of a GPU; None where nothing is.
    """

    work_seconds: float
    wall_seconds: float
    gpu_hours: float
    price: float | None
    guessed: tuple[str, ...] = ()
    cells: int = 0
    measured: int = 0
    least: Estimate | None = None
    most: Estimate | None = None


def estimate(cells: Sequence[PlannedCell], resources: Resources, gpu_price: float | None = None) -> Estimate:
    """Expected work, wall time, GPU-hours and price of `cells`; of guesses for a GPU also their edges.

    Args:
        gpu_price: of one GPU for one hour.
    """
    found = _estimate(cells, resources, gpu_price)
    guesses = [planned for planned in cells if planned.guessed]
    found = replace(
        found,
        guessed=tuple(dict.fromkeys(planned.cell.architecture for planned in guesses)),
        cells=len(guesses),
        measured=len(cells) - len(guesses),
    )
    if not guesses or resources.device == "cpu":
        return found
    least, most = (
        _estimate([_times(planned, factor) for planned in cells], resources, gpu_price)
        for factor in (1 / GPU_SPREAD, GPU_SPREAD)
    )
    return replace(found, least=least, most=most)


def _times(planned: PlannedCell, factor: float) -> PlannedCell:
    return replace(planned, seconds=planned.seconds * factor) if planned.guessed else planned


def _estimate(cells: Sequence[PlannedCell], resources: Resources, gpu_price: float | None) -> Estimate:
    work = sum(planned.seconds for planned in cells)
    slots = {share: max(1, resources.slots(share)) for share in {planned.share for planned in cells}}
    packed = sum(planned.seconds / slots[planned.share] for planned in cells)
    own = {planned.id: planned.seconds for planned in cells}
    longest = max((own.get(planned.upstream or "", 0.0) + planned.seconds for planned in cells), default=0.0)
    wall = max(packed, longest)
    on_gpu = resources.device == "cuda"
    if on_gpu:  # a share is what a trial gets beside neighbours; in the end a chain has its GPU to itself
        whole = {planned.id: planned.seconds * resources.part(planned.share) for planned in cells}
        alone = max((whole.get(one.upstream or "", 0.0) + whole[one.id] for one in cells), default=0.0)
        wall = min(wall, packed + alone)
    wall += SECONDS_PER_RUN if cells else 0.0
    parts = sum(planned.seconds * resources.part(planned.share) for planned in cells)
    gpu_hours = parts / 3600 if on_gpu else 0.0
    price = sum(resources.gpus) * wall / 3600 * gpu_price if gpu_price is not None else None
    return Estimate(work, wall, gpu_hours, price)
